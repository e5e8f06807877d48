"""``darkchannel doctor``: whether this machine has what rendering takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.config import Settings
from darkchannel.errors import DarkChannelError
from darkchannel.models import Check
from darkchannel.production.pool import default_workers
from darkchannel.speech.kokoro.runtime import choose, usable

SENTENCES = (
    "O rio subiu durante a noite e levou a ponte de madeira. De manhã, as duas metades da vila "
    "se olhavam de longe, cada uma com a sua padaria e os seus sinos."
)

FREE_BYTES = 1_000_000_000
"""Weights take 0.12 GB, prepared 0.32, an hour of takes 0.17; below a gigabyte trouble is near."""


def diagnose(settings: Settings) -> Iterator[Check]:
    """Look at everything a render needs, one check at a time; changes nothing."""
    yield Check("python", True, f"{sys.version.split()[0]}, {default_workers()} cores")
    yield _attempt("data directory", lambda: _data_dir(settings))
    yield _attempt("ffmpeg", _ffmpeg)
    yield _attempt("kokoro", lambda: _kokoro(settings))
    yield _attempt("store", lambda: _store(settings))


def measure(settings: Settings, *, seconds: float = 3.0) -> Iterator[Check]:
    """Speak with each runtime on one thread for some seconds, and say how fast it is.

    Weights are fetched and prepared where they are not there yet.  OpenVINO is left out where it is
    not installed, or would distort.
    """
    for runtime in usable():
        name = f"kokoro speed, {runtime}"
        yield _attempt(name, partial(_speed, settings, name, runtime, seconds))


def _speed(settings: Settings, name: str, runtime: str, seconds: float) -> Check:
    from darkchannel.production.planning import plan_text
    from darkchannel.production.request import RenderOptions
    from darkchannel.speech.kokoro.engine import KokoroEngine

    engine = KokoroEngine(settings.data_dir, runtime=runtime, offline=settings.offline)
    chunks = plan_text(SENTENCES.encode(), RenderOptions(), engine).chunks
    list(engine.synthesize(chunks[:1]))  # loads
    spoken, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        spoken += sum(speech.seconds for speech in engine.synthesize(chunks[:1]))
    taken = time.perf_counter() - began
    engine.close()
    return Check(
        name,
        True,
        f"{spoken / taken:.2f} seconds of speech a second, on one core of {default_workers()}",
    )


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
    from darkchannel.speech.kokoro.preparation import RUNTIMES as PREPARED
    from darkchannel.speech.kokoro.preparation import is_prepared
    from darkchannel.speech.kokoro.weights import KOKORO
    from darkchannel.speech.weights import installed

    runtime, why = choose(settings.kokoro_runtime)
    missing = installed(KOKORO, settings.data_dir).missing
    if missing:
        state = f"{len(missing)} files are missing"
    elif runtime in PREPARED and not is_prepared(
        settings.data_dir, KOKORO.files[0].sha256, runtime
    ):
        state = "weights and voices are here, to be prepared at the first use"
    else:
        state = "weights and voices are here"
    return Check(
        "kokoro",
        not missing,
        f"{state}; runtime {runtime}: {why}",
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
