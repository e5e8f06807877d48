"""Fixtures for tests of speech."""

from __future__ import annotations

import pytest

from darkchannel.speech.kokoro.engine import KokoroEngine
from tests.speech.real_kokoro import real_kokoro


@pytest.fixture(scope="session")
def kokoro() -> KokoroEngine:
    """The Kokoro engine on its real weights."""
    return real_kokoro()
