"""The real voice, loaded once for all tests of a session."""

from __future__ import annotations

from functools import cache

from darkchannel.config import Settings
from darkchannel.speech.kokoro.engine import KokoroEngine


@cache
def real_kokoro() -> KokoroEngine:
    """An engine on the weights of the machine's own data directory, fetched where missing."""
    return KokoroEngine(Settings.from_environment().data_dir, threads=2)
