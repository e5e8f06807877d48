"""What the tests of script/ share: an engine's count and a way to read and plan in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from darkchannel.models import Plan, Script, Utterance
from darkchannel.script import make_plan, read_script

MAX_TOKENS = 510


def characters(utterance: Utterance) -> int:
    """A simple engine's count: one token for each character."""
    return len(utterance.spoken)


def any_voice(voice: str | None, language: str) -> str:
    """An engine that has every voice."""
    return voice or f"default-{language}"


def plan_of(script: Script, **options: Any) -> Plan:
    """The plan of a script for a simple engine."""
    settings: dict[str, Any] = {
        "count": characters,
        "resolve_voice": any_voice,
        "engine": "test-engine",
        "max_tokens": MAX_TOKENS,
    }
    return make_plan(script, **{**settings, **options})


Planner = Callable[..., Plan]


@pytest.fixture
def plan_text() -> Planner:
    """Read a text and plan it for a simple engine; options go to ``make_plan``."""

    def plan(text: str, *, reading: dict[str, Any] | None = None, **options: Any) -> Plan:
        return plan_of(read_script(text, **(reading or {})), **options)

    return plan
