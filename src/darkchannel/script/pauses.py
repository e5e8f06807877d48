"""How long the silences are, in seconds, in one place.

The paragraph and chapter pauses are what listeners of audiobooks expect; the others were set
between them so that a longer pause always means a larger step in the text.
"""

from __future__ import annotations

CLAUSE = 0.12
"""Between two parts of one sentence that are spoken apart."""

SENTENCE = 0.3
"""Between two sentences of a paragraph; the only pause that may stand inside a chunk."""

PARAGRAPH = 0.6
"""After a paragraph."""

SCENE = 1.0
"""At a scene break: a line of asterisks, dashes or the like."""

HEADING = 1.0
"""After a heading."""

CHAPTER = 2.0
"""Before a chapter."""

LONGEST_BREAK = 10.0
"""The longest pause that SSML may ask for."""

STRENGTHS = {
    "none": 0.0,
    "x-weak": CLAUSE,
    "weak": 0.2,
    "medium": 0.4,
    "strong": PARAGRAPH,
    "x-strong": SCENE,
}
"""What SSML's ``break strength`` stands for, each as exact as a time would be."""

_NUDGE = 0.001


def exact(seconds: float) -> float:
    """A pause the author asked for, told apart from the natural one between sentences.

    Inside a chunk the engine makes the pause between sentences itself, which is close to
    :data:`SENTENCE` but not exact.  A break of exactly that length is therefore written one
    millisecond longer, which no listener hears and which ends the chunk.
    """
    return SENTENCE + _NUDGE if seconds == SENTENCE else seconds
