"""The real voice, loaded once for all tests of a session."""

from __future__ import annotations

from functools import cache

import pytest

from darkchannel.config import Settings
from darkchannel.speech.kokoro.engine import KokoroEngine
from darkchannel.speech.kokoro.runtime import usable


def settings() -> Settings:
    """The machine's own, so that weights are fetched once for all runs."""
    return Settings.from_environment()


def require(runtime: str | None) -> None:
    """Skip a test of a runtime that is not installed here, or would distort on this CPU."""
    if runtime is not None and runtime not in usable():
        pytest.skip(f"the runtime {runtime} is not here, or would distort")


@cache
def real_kokoro(runtime: str | None = None) -> KokoroEngine:
    """An engine on the weights of the machine's own data directory, fetched where missing."""
    require(runtime)
    return KokoroEngine(settings().data_dir, runtime=runtime, threads=2)
