"""What becomes of characters nobody can say: odd spaces, invisible characters, loose accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from darkchannel.script.offsets import Edit

SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Characters read as a space, for use inside a character class."""

INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f"
)
"""Controls, zero-width characters, soft hyphens and byte order marks: never spoken."""

_LOOSE = re.compile(
    # A soft hyphen at the end of a line is a word broken in two, not two words.
    "(?P<hyphenated>\xad[ \t]*(?:\r\n|[\n\r])[ \t]*)"
    f"|[{SPACE}{INVISIBLE}]{{2,}}|[{SPACE.replace(' ', '')}{INVISIBLE}]"
)
_ANY_SPACE = re.compile(f"[{SPACE}]")
_WITH_BASE = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_GAP = re.compile(f"(?P<control>[\x0b\x0c{INVISIBLE}]+)|(?P<other>[^\x0b\x0c{INVISIBLE}]+)")
_SOLID = f"[^{SPACE}{INVISIBLE}]"
_INNER = re.compile(f"{_SOLID}(?:.*{_SOLID})?", re.DOTALL)


def space_edits(text: str) -> Iterator[Edit]:
    """Edits that leave single spaces only and nothing invisible."""
    for match in _LOOSE.finditer(text):
        found = match.group()
        spaced = match.lastgroup != "hyphenated" and _ANY_SPACE.search(found)
        yield Edit(match.start(), match.end(), " " if spaced else "")


def composition_edits(text: str) -> Iterator[Edit]:
    """Edits that bring ``text`` into Unicode NFC, each as small as can be."""
    if unicodedata.is_normalized("NFC", text):
        return
    for match in _WITH_BASE.finditer(text):
        yield from _compose(text, match.start(), match.end())


def _compose(text: str, start: int, end: int) -> Iterator[Edit]:
    first = start
    for here in range(start + 1, end + 1):
        if here < end and not _begins_anew(text[first:here], text[here]):
            continue
        composed = unicodedata.normalize("NFC", text[first:here])
        if composed != text[first:here]:
            yield Edit(first, here, composed)
        first = here


def _begins_anew(before: str, character: str) -> bool:
    if unicodedata.combining(character):
        return False
    normalize = unicodedata.normalize
    alone = normalize("NFC", before) + normalize("NFC", character)
    return normalize("NFC", before + character) == alone


def clean(text: str) -> str:
    """One line of NFC with single spaces, nothing invisible, and no space at the ends."""
    return unicodedata.normalize("NFC", one_line(text)).strip(" ")


def one_line(text: str) -> str:
    """``text`` as written, on one line: spaces single, nothing invisible."""
    if _LOOSE.search(text) is None:
        return text
    parts: list[str] = []
    last = 0
    for edit in space_edits(text):
        parts += (text[last : edit.start], edit.text)
        last = edit.end
    return "".join([*parts, text[last:]])


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without spaces and invisible characters at its ends; empty when all are."""
    inner = _INNER.search(text, start, end)
    return inner.span() if inner else (start, start)


def blank(text: str) -> bool:
    """Whether there is nothing but spaces and invisible characters in it."""
    return _INNER.search(text) is None


def speakable(text: str) -> bool:
    """Whether there is a letter or digit in it."""
    return any(character.isalnum() for character in text)


def why_silent(text: str) -> str:
    """The reason for which a text is not said: it is only punctuation, or it cannot be."""
    if speakable(text) or any(
        unicodedata.category(character).startswith("S") for character in text
    ):
        return "nothing to say"
    return "punctuation"


def gap_reasons(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Name the reason for each character between two utterances."""
    for match in _GAP.finditer(text, start, end):
        control = match.lastgroup == "control"
        yield match.start(), match.end(), "control character" if control else "whitespace"
