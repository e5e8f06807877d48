"""How fast speech is, and how fast it may be."""

from __future__ import annotations

SLOWEST, FASTEST = 0.5, 2.0
"""Bounds of a job's speed, of a passage's rate, and of both multiplied."""

TOKENS_A_SECOND = 21.0
"""At speed 1: Kokoro spoke 150 tokens of Brazilian Portuguese in 7.1 s."""

TOKENS_A_CHARACTER = 1.17
"""Measured for Brazilian Portuguese; a first guess for what is too long to be counted."""


def bounded(rate: float) -> float:
    """The nearest rate within the bounds."""
    return min(max(rate, SLOWEST), FASTEST)
