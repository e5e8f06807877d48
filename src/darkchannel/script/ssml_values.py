"""Values of SSML attributes: times, rates and language tags."""

from __future__ import annotations

import re

_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(ms|s)")
_NUMBER = re.compile(r"([+-]?)(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})(%?)")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")

RATES = {
    "x-slow": 0.6,
    "slow": 0.8,
    "medium": 1.0,
    "default": 1.0,
    "fast": 1.25,
    "x-fast": 1.6,
}
"""What the names of rates stand for; SSML leaves that to the processor."""


def seconds(value: str) -> float | None:
    """A CSS2 time such as ``500ms`` or ``1.5s`` in seconds; None when it is none."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return None
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def rate(value: str, outer: float) -> float | None:
    """A speaking rate relative to the voice's own; None when it is none.

    Names, numbers and percentages are relative to the voice (SSML 1.1, 3.2.4), signed
    percentages to the rate outside (SSML 1.0, and what most services do).

    Args:
        value: of the attribute.
        outer: rate of the element around it.
    """
    value = value.strip().lower()
    if value in RATES:
        return RATES[value]
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    number = float(match[2]) / (100 if match[3] else 1)
    if match[1]:
        return outer * (1 + number if match[1] == "+" else 1 - number)
    return number


def language(value: str) -> str | None:
    """A BCP 47 tag in its usual capitals (``pt-BR``); None when it is none."""
    value = value.strip()
    if _LANGUAGE.fullmatch(value) is None:
        return None
    first, *rest = value.replace("_", "-").split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def _subtag(part: str) -> str:
    if len(part) == 2:
        return part.upper()
    return part.title() if len(part) == 4 and part.isalpha() else part.lower()
