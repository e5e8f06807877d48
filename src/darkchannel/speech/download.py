"""A file from its publisher's own address, going on where an earlier attempt stopped."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from darkchannel.errors import EngineUnavailableError

_TIMEOUT = 60.0
_BLOCK = 1 << 18


def download(
    address: str,
    target: Path,
    size: int,
    *,
    on_bytes: Callable[[int], None] = lambda _bytes: None,
) -> None:
    """Fetch a file of known size; its digest is for the caller to check.

    Args:
        address: https; plain http on this very machine only.
        target: what is there already is kept and gone on from.
        size: in bytes; no more than that is ever written.
        on_bytes: hears how many bytes are there.

    Raises:
        EngineUnavailableError: the address does not answer, or not with that many bytes.
    """
    _refuse_insecure(address)
    have = target.stat().st_size if target.exists() else 0
    if have >= size:
        have = 0
    request = urllib.request.Request(address)  # noqa: S310 - its scheme was checked
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            resumed = answer.status == 206
            have = have if resumed else 0
            with target.open("ab" if resumed else "wb") as output:
                while have < size and (block := answer.read(min(_BLOCK, size - have))):
                    output.write(block)
                    have += len(block)
                    on_bytes(have)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise _unavailable(address, str(error)) from error
    if have < size:
        raise _unavailable(address, f"it ended after {have} of {size} bytes")


def _unavailable(address: str, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"{address} could not be fetched: {reason}",
        remedy="check the network and try again: what has arrived is kept",
    )


def _refuse_insecure(address: str) -> None:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1"):
        return
    raise ValueError(f"{address} is not an https address")
