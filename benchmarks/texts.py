"""Texts to measure with, made of the example chapter."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "capitulo.txt"
ENGLISH = Path(__file__).parent / "english.txt"
"""About a minute."""


def chapter(minutes: float) -> str:
    """About so many minutes of Portuguese prose (900 characters a minute), in paragraphs."""
    paragraphs = [p for p in EXAMPLE.read_text(encoding="utf-8").split("\n\n") if len(p) > 20]
    wanted, text, number = minutes * 900, "", 0
    while len(text) < wanted:
        text += paragraphs[number % len(paragraphs)].lstrip("# ").strip() + "\n\n"
        number += 1
    return text
