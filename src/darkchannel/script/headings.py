"""Which lines are headings and which are scene breaks."""

from __future__ import annotations

import re
from typing import NamedTuple

from darkchannel.script import hygiene

LONGEST_HEADING = 80
"""Characters; a longer line that begins with "Capítulo 3" is a sentence."""

_ROMAN = r"(?=[ivxlc])c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_PORTUGUESE = (
    r"(?:um|uma|dois|duas|tr[êe]s|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|treze|"
    r"[qc]uatorze|quinze|dezesseis|dezessete|dezoito|dezenove|vinte|trinta|quarenta|cinquenta|"
    r"primeir[oa]|segund[oa]|terceir[oa]|quart[oa]|quint[oa]|sext[oa]|s[ée]tim[oa]|oitav[oa]|"
    r"non[oa]|d[ée]cim[oa]|vig[ée]sim[oa]|final|[úu]ltim[oa])"
)
_ENGLISH = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|the\ first|"
    r"the\ second|the\ third|the\ last|first|second|third)"
)
_NUMBER = (
    rf"(?:\d{{1,3}}[ºªo]?|{_ROMAN}|{_PORTUGUESE}(?:\ (?:e\ )?{_PORTUGUESE})*|"
    rf"{_ENGLISH}(?:[ -]{_ENGLISH})*)"
)
_SEPARATED = r"\s*[.:–—-]\s*(?P<{}>\S.*)"
_NUMBERED = re.compile(
    rf"(?:(?:cap[íi]tulo|chapter)\s+{_NUMBER}\b(?:{_SEPARATED.format('a')}|\s+(?P<loose>[^\W_].*))?"
    rf"|(?:parte|part|livro|book|ato|act|volume)\s+{_NUMBER}\b(?:{_SEPARATED.format('b')})?)"
    r"\.?",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:pr[óo]logo|ep[íi]logo|pref[áa]cio|posf[áa]cio|introdu[çc][ãa]o|apresenta[çc][ãa]o|"
    r"dedicat[óo]ria|agradecimentos|prologue|epilogue|preface|foreword|afterword|introduction|"
    r"acknowledge?ments)"
    r"(?:\s*[:–—]\s*\S.*)?\.?",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(r"[ ]{0,3}(?P<marks>\#{1,6})[ \t]+(?P<title>\S.*?)(?:[ \t]+\#+)?[ \t]*$")
_SCENE = re.compile(r"(?:[*_~=#•·∙⁂❦❧✻✽◆◇■□]\s*|[-–—]\s*){3,}|[*#•·⁂❦❧✻✽◆◇]")
_STOPS = re.compile(r"[.!?…:][\"'”’»)\]*_]*$")
# First letters of all the words above, also where the accents are loose.
_BEGINNINGS = frozenset(
    {"cap", "cha", "par", "liv", "boo", "ato", "act", "vol", "pró", "pro", "epí", "epi", "pre"}
    | {"pos", "int", "apr", "ded", "agr", "for", "aft", "ack"}
)
_ENDS_SENTENCE = re.compile(r"[.!?…:;,][\"'”’»)\]]*$")


class Heading(NamedTuple):
    """A heading found in a line.

    Attributes:
        title: what it says, without marks, in one line of NFC.
        level: 1 and 2 begin a chapter; deeper ones only stand apart.
        start: first character of the input that is spoken.
        end: one past the last.
        marked: whether it has Markdown's marks, which leave no doubt.
        bare: whether it is only a number (``CAPÍTULO III``), so that a title may follow.
        loose: whether nothing separates number and title (``Capítulo 3 A volta``).
    """

    title: str
    level: int
    start: int
    end: int
    marked: bool = False
    bare: bool = False
    loose: bool = False


def in_line(text: str, start: int, end: int) -> Heading | None:
    """The heading in the line ``[start, end)`` of ``text``, if it is one."""
    start, end = hygiene.trimmed(text, start, end)
    if not 0 < end - start <= 4 * LONGEST_HEADING:
        return None
    line = text[start:end]
    if line[0] != "#" and line[:3].lower() not in _BEGINNINGS:
        return None
    mark = _MARKDOWN.match(line)
    if mark and hygiene.speakable(mark["title"]):
        title = hygiene.clean(mark["title"])
        place = start + mark.start("title"), start + mark.end("title")
        return Heading(title, len(mark["marks"]), *place, marked=True)
    title = hygiene.clean(line)
    if not is_heading(title):
        return None
    number = _NUMBERED.fullmatch(title)
    bare = number is not None and not any(number.groups())
    loose = number is not None and number["loose"] is not None
    return Heading(title.rstrip("."), 2, start, end, bare=bare, loose=loose)


def is_heading(title: str) -> bool:
    """Whether a line of its own is a heading such as ``Capítulo 3`` or ``Epilogue``."""
    if len(title) > LONGEST_HEADING:
        return False
    if _NAMED.fullmatch(title):
        return True
    match = _NUMBERED.fullmatch(title)
    if match is None:
        return False
    # Without a separator, only a capital tells a title from a sentence about a chapter.
    loose = match["loose"]
    return loose is None or (not loose[0].islower() and not title.endswith("."))


def is_title_line(title: str) -> bool:
    """Whether the line after a bare heading can be its title."""
    return 0 < len(title) <= LONGEST_HEADING and _ENDS_SENTENCE.search(title) is None


def is_scene_break(line: str) -> bool:
    """Whether a line is nothing but a mark between scenes (``***``, ``* * *``, ``---``)."""
    if len(line) > 2 * LONGEST_HEADING or line[:1].isalnum():
        return False
    return _SCENE.fullmatch(hygiene.clean(line)) is not None


def ends_sentence(line: str) -> bool:
    """Whether a line ends where a sentence can end, quotes and brackets included."""
    return _STOPS.search(line[-16:]) is not None
