"""The converter's checkpoint from its publisher: what the graphs are exported from.

Its bytes could not be pinned when this was written, for want of a way to that address: whoever
fetches it gives the SHA-256 they trust, or is told the one that came.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.download import download
from darkchannel.speech.openvoice.converter import file_digest
from darkchannel.speech.weights import FetchProgress, locked

ADDRESS = "https://huggingface.co/myshell-ai/OpenVoiceV2/resolve/main/converter"
CHECKPOINT, CONFIG = "checkpoint.pth", "config.json"

_LARGEST = {CONFIG: 64 << 10, CHECKPOINT: 512 << 20}
_TIMEOUT = 60.0


def fetch_checkpoint(
    folder: Path,
    *,
    sha256: str | None = None,
    offline: bool = False,
    address: str = ADDRESS,
    on_progress: Callable[[FetchProgress], None] = lambda _progress: None,
) -> str:
    """Make sure that checkpoint and config are in a folder; goes on where it was interrupted.

    Args:
        folder: made if need be.
        sha256: of the checkpoint, in hexadecimal; None trusts the address.
        offline: do not fetch; say what is missing.
        address: of the folder both are published in.
        on_progress: hears how far it is.

    Returns:
        The SHA-256 of the checkpoint that is there now.

    Raises:
        EngineUnavailableError: a file is missing and could not be had, or the checkpoint is
            another one than asked for; that one is kept aside, not used.
    """
    missing = [name for name in _LARGEST if not (folder / name).is_file()]
    if missing and offline:
        raise EngineUnavailableError(
            f"OpenVoice lacks {' and '.join(missing)} in {folder}",
            remedy=f"fetch them where there is a network, from {address}, and copy them there",
        )
    try:
        with locked(folder):
            for name in missing:
                _fetch(f"{address}/{name}", folder / name, _LARGEST[name], on_progress)
        digest = file_digest(folder / CHECKPOINT)
        if sha256 is not None and digest != sha256.lower():
            (folder / CHECKPOINT).replace(folder / f"{CHECKPOINT}.refused")
            raise EngineUnavailableError(
                f"{folder / CHECKPOINT} has SHA-256 {digest}: expected {sha256.lower()}",
                remedy="find out which of the two is the right one before you use either",
            )
    except OSError as error:
        raise EngineUnavailableError(
            f"the OpenVoice files could not be written to {folder}: {error.strerror or error}",
            remedy="make room there, or set DARKCHANNEL_DATA_DIR to another folder",
        ) from error
    return digest


def _fetch(
    address: str, target: Path, largest: int, on_progress: Callable[[FetchProgress], None]
) -> None:
    if target.is_file():
        return  # another process was faster
    size = _size(address)
    if not 0 < size <= largest:
        raise _unavailable(address, f"it has {size} bytes: expected 1 to {largest}")
    partial = target.with_name(f"{target.name}.partial")
    download(
        address,
        partial,
        size,
        on_bytes=lambda done: on_progress(FetchProgress(target.name, done, size)),
    )
    partial.replace(target)


def _size(address: str) -> int:
    """Bytes of a file, as its server says before sending them."""
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - download() checks it
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            return int(answer.headers.get("Content-Length") or 0)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise _unavailable(address, str(error)) from error


def _unavailable(address: str, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"{address} could not be fetched: {reason}",
        remedy="fetch it where the open internet is, and copy it into models/openvoice below"
        " the data directory (see docs/voices.md)",
    )
