"""``darkchannel doctor``: whether this machine has what rendering takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.config import Settings
from darkchannel.errors import DarkChannelError
from darkchannel.models import Check
from darkchannel.production.pool import default_workers

FREE_BYTES = 1_000_000_000
"""Weights take 0.12 GB, an hour of takes 0.17 GB; below a gigabyte trouble is near."""


def diagnose(settings: Settings) -> Iterator[Check]:
    """Look at everything a render needs, one check at a time; changes nothing."""
    yield Check("python", True, f"{sys.version.split()[0]}, {default_workers()} cores")
    yield _attempt("data directory", lambda: _data_dir(settings))
    yield _attempt("ffmpeg", _ffmpeg)
    yield _attempt("kokoro", lambda: _kokoro(settings))
    yield _attempt("store", lambda: _store(settings))


def _attempt(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except DarkChannelError as error:
        return Check(name, False, error.message, error.remedy)


def _data_dir(settings: Settings) -> Check:
    place = settings.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    return Check(
        "data directory",
        writable and free >= FREE_BYTES,
        f"{settings.data_dir}, {free / 1e9:.1f} GB free"
        + ("" if writable else ", but it cannot be written"),
        "set DARKCHANNEL_DATA_DIR to a place with room",
    )


def _ffmpeg() -> Check:
    path = find_ffmpeg()
    answer = subprocess.run(
        [path, "-hide_banner", "-encoders"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    missing = [name for name in ("libmp3lame", "aac") if name not in answer.stdout]
    return Check(
        "ffmpeg",
        not missing,
        f"{path}" + (f" lacks {', '.join(missing)}" if missing else ""),
        "pip install 'darkchannel[ffmpeg]'",
    )


def _kokoro(settings: Settings) -> Check:
    from darkchannel.speech.kokoro.weights import KOKORO
    from darkchannel.speech.weights import installed

    missing = installed(KOKORO, settings.data_dir).missing
    return Check(
        "kokoro",
        not missing,
        f"{len(missing)} files are missing" if missing else "weights and voices are here",
        "darkchannel models fetch",
    )


def _store(settings: Settings) -> Check:
    from darkchannel.storage import MinIOClient
    from darkchannel.storage.embedded import find_server

    if settings.store is None:
        return Check("store", True, f"embedded, {find_server()}")
    client = MinIOClient(settings.store)
    client.ping()
    return Check("store", True, f"{settings.store.endpoint} answers")
