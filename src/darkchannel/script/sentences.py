"""Where sentences end, in Brazilian Portuguese and English prose.

Rules rather than a trained model: they are the same on every machine, and a wrong split costs
little (a pause of a third of a second) where a missed one is caught by the length limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from darkchannel.script.abbreviations import Abbreviation, lookup, often_first

_STOP = re.compile(
    r"(?<![.!?…‽])(?P<stop>[.!?…‽]++(?: [.!?…‽]++)*)"
    r"(?:[\"'”’»)\]}*_]|\[\d{1,3}\]| »)*"
    r"(?= |$)"
)
_WORD_BEFORE = re.compile(r"[^\W_](?:[\w.ªº°]*[\wªº°])?$")
_WORD = re.compile(r"[^\W_]")
_AHEAD = re.compile(r"(?P<lead>[\W_]{0,60})(?P<word>[^\W_]+\.?)")
_OPENERS = " \"'“‘«([{—–-"
_ROMAN = re.compile(r"[IVXLCDM]+$")
_LONGEST_ABBREVIATION = 16


def split(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Ranges of the sentences of one paragraph, without the spaces between them.

    Each has a letter or digit, unless the whole text has none.

    Args:
        text: one line with single spaces (see :mod:`darkchannel.script.hygiene`).
        language: BCP 47 tag; decides between abbreviations that mean different things.
    """
    last_word = _last_speakable(text)
    start, word = 0, _next_word(text, 0)
    for match in _STOP.finditer(text):
        end = match.end()
        if end > last_word:
            break
        if word < match.start() and _ends_sentence(text, start, match, language):
            yield _strip(text, start, end)
            start, word = end, _next_word(text, end)
    if text.strip(" "):
        yield _strip(text, start, len(text))


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while text[start] == " ":
        start += 1
    while text[end - 1] == " ":
        end -= 1
    return start, end


def _next_word(text: str, start: int) -> int:
    match = _WORD.search(text, start)
    return match.start() if match else len(text)


def _last_speakable(text: str) -> int:
    for position in range(len(text) - 1, -1, -1):
        if text[position].isalnum():
            return position
    return -1


def _ends_sentence(text: str, start: int, match: re.Match[str], language: str) -> bool:
    stop = match["stop"]
    ahead = _AHEAD.match(text, match.end())
    if ahead is None:
        return True
    word = ahead["word"]
    if word[0].islower():
        return False
    if stop != ".":
        # An ellipsis before a number counts on ("três... 2... 1").
        return "!" in stop or "?" in stop or not word[0].isdigit()
    return _full_stop_ends(text, start, match, word, language)


def _full_stop_ends(
    text: str, start: int, match: re.Match[str], following: str, language: str
) -> bool:
    dot = match.start()
    before = _WORD_BEFORE.search(text, max(start, dot - _LONGEST_ABBREVIATION), dot)
    if before is None or (match.end() > dot + 1 and match[0][1] not in ")]"):
        return True
    word = before.group()
    first = before.start() - start < 8 and not text[start : before.start()].strip(_OPENERS)
    if first and _enumerates(word):
        return False
    known = lookup(word, language)
    if known is None:
        return True
    if known is Abbreviation.BEFORE_NUMBER:
        return not (following[0].isdigit() or _is_numeral(following.rstrip("."), language))
    if known is Abbreviation.MAYBE_LAST:
        return often_first(following, language)
    return False


def _enumerates(word: str) -> bool:
    """Whether it is the number of a list item, as in ``3. Abra a porta``."""
    return (word.isdigit() and len(word) <= 3) or _ROMAN.match(word) is not None


def _is_numeral(word: str, language: str) -> bool:
    """Whether it is a Roman numeral rather than the English word for oneself."""
    return _ROMAN.match(word) is not None and not (word == "I" and language.startswith("en"))
