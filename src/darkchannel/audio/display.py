"""Text as players show it."""

from __future__ import annotations

import unicodedata


def one_line(text: str) -> str:
    """On one line, without control characters, which would end a tag or a cue too early."""
    kept = (char for char in text if char.isspace() or unicodedata.category(char) != "Cc")
    return " ".join("".join(kept).split())
