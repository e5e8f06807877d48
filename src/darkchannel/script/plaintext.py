"""Plain text, as people export it, becomes a script.

Paragraphs stand between blank lines, and a single line break inside one is a space.  Many
programs export one line for each paragraph instead, without blank lines; so a block is read
line by line when most of its line breaks were made on purpose.  A break was made on purpose
between items of a list, and where a sentence ends and the next word would still have fitted
on the line, or the next line opens with a dialogue dash, or the file has lines far too long
to have been wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from darkchannel.models import Span
from darkchannel.script import headings, hygiene
from darkchannel.script.alignment import Run
from darkchannel.script.headings import Heading
from darkchannel.script.narration import AlignedScript, Narration, Style

WIDEST_WRAP = 120
"""Characters; editors and mail programs wrap at 65 to 100, so longer lines were never wrapped."""

_LINE = re.compile("([^\r\n\x85\u2028\u2029]*)(\r\n|[\r\n\x85\u2028\u2029]|\\Z)")
_TAG = re.compile(r"</?(?:speak|break|prosody|voice|say-as|phoneme|p|s|div|span|br)\b[^<>]*>")
_MOJIBAKE = re.compile("Ã[¡¢£§©ª\xad³´µº]|â€[\x9c\x9d\u0153\u2122\u201d]")
_LOST = re.compile("\ufffd")
_DASH = re.compile(r"[—–-] ?\S")
_ITEM = re.compile(r"[—–•*-] ?\S|\d{1,3}[.)] ")


def read_text(text: str, language: str) -> AlignedScript:
    """Read plain text with the headings of books or of Markdown.

    Raises:
        ScriptError: nothing in it can be spoken.
    """
    narration = Narration(text)
    _doubt(text, narration)
    blocks = list(_blocks(text))
    width = max(end - start for block in blocks for start, end in block)
    reader = _TextReader(text, Style(language), narration, width)
    for block in blocks:
        reader.read(block)
    narration.title = reader.title
    return narration.finish()


def _doubt(text: str, narration: Narration) -> None:
    """Warn of what looks like an accident, once for each kind."""
    for pattern, message in (
        (_TAG, "{!r} looks like a tag and is read as text; put SSML inside <speak>"),
        (_MOJIBAKE, "{!r} looks like UTF-8 that was once read as Latin-1"),
        (_LOST, "{!r} stands where a character was lost"),
    ):
        found = pattern.search(text)
        if found:
            narration.warn(found.start(), message.format(found.group()[:40]))


def _blocks(text: str) -> Iterator[list[Span]]:
    """Lines between blank lines; ends are exclusive and without the line break."""
    block: list[Span] = []
    for match in _LINE.finditer(text):
        start, end = hygiene.trimmed(text, *match.span(1))
        if start < end:
            block.append(Span(start, end))
        if (start == end or match[2] == "\u2029") and block:
            yield block
            block = []
    if block:
        yield block


def _first_word(text: str) -> int:
    """Length of the first word."""
    return len(text[: WIDEST_WRAP + 1].split(maxsplit=1)[0])


class _Line(NamedTuple):
    """A line with something in it, and what it looks like on its own."""

    span: Span
    text: str
    heading: Heading | None
    scene: bool


def _stands_out(heading: Heading, at: int, lines: int) -> bool:
    """Whether it is a heading even in a wrapped paragraph of so many lines."""
    return heading.marked or (at == 0 and (lines == 1 or not heading.loose))


def _subtitle(heading: Heading, lines: list[_Line], at: int, by_line: bool) -> _Line | None:
    """The line below a bare "Capítulo 3" that is its title."""
    if not heading.bare or at == len(lines) or not (by_line or at == len(lines) - 1):
        return None
    line = lines[at]
    if line.heading or line.scene or not headings.is_title_line(hygiene.clean(line.text)):
        return None
    return line


class _TextReader:
    """Reads block by block into a narration."""

    def __init__(self, text: str, style: Style, narration: Narration, width: int) -> None:
        self._levels: list[tuple[int, str]] = []
        self._text = text
        self._style = style
        self._narration = narration
        self._width = width

    @property
    def title(self) -> str | None:
        """The work's title: the one heading of the first level, above all others."""
        tops = [title for level, title in self._levels if level == 1]
        if len(tops) == 1 and len(self._levels) > 1 and self._levels[0][0] == 1:
            return tops[0]
        return None

    def read(self, block: list[Span]) -> None:
        """Read the lines between two blank lines."""
        lines = [self._line(span) for span in block]
        by_line = self._is_line_by_line(lines)
        paragraph: list[_Line] = []
        numbered = enumerate(lines)
        for at, line in numbered:
            heading = line.heading
            if heading and not (by_line or _stands_out(heading, at, len(lines))):
                heading = None
            if heading or line.scene or by_line:
                self._end(paragraph)
            if line.scene:
                self._narration.scene_break(*line.span)
            elif heading:
                subtitle = _subtitle(heading, lines, at + 1, by_line)
                if subtitle:
                    next(numbered)
                self._say_heading(line, heading, subtitle)
            else:
                paragraph.append(line)
        self._end(paragraph)

    def _line(self, span: Span) -> _Line:
        heading = headings.in_line(self._text, *span)
        scene = heading is None and headings.is_scene_break(self._text[slice(*span)])
        return _Line(span, self._text[slice(*span)], heading, scene)

    def _is_line_by_line(self, lines: list[_Line]) -> bool:
        meant = sum(self._is_meant(*pair) for pair in pairwise(lines))
        return 2 * meant > len(lines) - 1 > 0

    def _is_meant(self, line: _Line, following: _Line) -> bool:
        """Whether the break between two lines was made on purpose."""
        if line.heading or line.scene:
            return True
        if _ITEM.match(line.text) and _ITEM.match(following.text):
            return True
        if not headings.ends_sentence(line.text):
            return False
        fits = len(line.text) + 1 + _first_word(following.text) <= self._width
        return fits or self._width > WIDEST_WRAP or _DASH.match(following.text) is not None

    def _say_heading(self, line: _Line, heading: Heading, subtitle: _Line | None) -> None:
        narration, title = self._narration, heading.title
        narration.leave_out(line.span.start, heading.start, "markup")
        self._say(heading.start, heading.end, whole=True)
        narration.leave_out(heading.end, line.span.end, "markup")
        if subtitle:
            narration.end_sentence()
            self._say(*subtitle.span, whole=True)
            title = f"{title} — {hygiene.clean(subtitle.text)}"
        self._levels.append((heading.level, title))
        narration.end_paragraph(heading=True, chapter=title if heading.level <= 2 else None)

    def _end(self, paragraph: list[_Line]) -> None:
        if paragraph:
            self._say(paragraph[0].span.start, paragraph[-1].span.end)
            self._narration.end_paragraph()
            paragraph.clear()

    def _say(self, start: int, end: int, *, whole: bool = False) -> None:
        self._narration.say(Run(start, end, self._text[start:end]), self._style, whole=whole)
