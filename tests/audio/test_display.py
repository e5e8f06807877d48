"""Text as players show it."""

from __future__ import annotations

import pytest

from darkchannel.audio.display import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  Farol\n à\tnoite ", "Farol à noite"),
        ("a\0b\x1bc", "abc"),
        ("a \0 b", "a b"),
        ("linha\u2028outra\u00a0vez\x85fim", "linha outra vez fim"),
        ("🚀 — “olá”", "🚀 — “olá”"),
        ("\n\0", ""),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    """White space is one space, control characters are gone, everything else stays."""
    assert one_line(text) == shown
