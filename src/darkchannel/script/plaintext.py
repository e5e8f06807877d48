"""Plain text, as people export it, becomes a script.

Paragraphs stand between blank lines, and a single line break inside one is a space.  Many
programs export one line for each paragraph instead, without blank lines; so a block is read
line by line when most of its line breaks were made on purpose.  A break was made on purpose
when a sentence ends there and the next word would still have fitted on the line, or the next
line opens with a dialogue dash, or the file has lines far too long to have been wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from darkchannel.models import Span
from darkchannel.script import headings, hygiene
from darkchannel.script.alignment import Run
from darkchannel.script.headings import Heading
from darkchannel.script.narration import AlignedScript, Narration, Style

WIDEST_WRAP = 120
"""Characters; editors and mail programs wrap at 65 to 100, so longer lines were never wrapped."""

_LINE = re.compile("([^\r\n\x85\u2028\u2029]*)(\r\n|[\r\n\x85\u2028\u2029]|\\Z)")
_TAG = re.compile(r"</?(?:speak|break|prosody|voice|say-as|phoneme|p|s|div|span|br)\b[^<>]*>")
_MOJIBAKE = re.compile("Ã[\x80-\xbf£©ª«¡§´µ¶º\u0192\u201c\u201a]|â€[\x9c\x9d\u0153\u2122\u201d]")
_DASH = re.compile(r"[—–-] ?\S")


def read_text(text: str, language: str) -> AlignedScript:
    """Read plain text with the headings of books or of Markdown.

    Raises:
        ScriptError: nothing in it can be spoken.
    """
    narration = Narration(text)
    _doubt(text, narration)
    reader = _TextReader(text, Style(language), narration)
    for block in _blocks(text):
        reader.read(block)
    narration.title = reader.title
    return narration.finish()


def _doubt(text: str, narration: Narration) -> None:
    """Warn of what looks like an accident, once for each kind."""
    for pattern, message in (
        (_TAG, "{!r} looks like a tag and is read as text; put SSML inside <speak>"),
        (_MOJIBAKE, "{!r} looks like UTF-8 that was once read as Latin-1"),
        (re.compile("\ufffd"), "{!r} stands where a character was lost"),
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


class _TextReader:
    """Reads block by block into a narration."""

    def __init__(self, text: str, style: Style, narration: Narration) -> None:
        self._levels: list[tuple[int, str]] = []
        self._text = text
        self._style = style
        self._narration = narration
        self._width = max((end - start for block in _blocks(text) for start, end in block))

    @property
    def title(self) -> str | None:
        """The work's title: the one heading of the first level, above all others."""
        tops = [title for level, title in self._levels if level == 1]
        if len(tops) == 1 and len(self._levels) > 1 and self._levels[0][0] == 1:
            return tops[0]
        return None

    def read(self, block: list[Span]) -> None:
        """Read the lines between two blank lines."""
        by_line = self._is_line_by_line(block)
        paragraph: list[Span] = []
        at = 0
        while at < len(block):
            line = block[at]
            at += 1
            heading = self._heading(
                line, first=by_line or at == 1, alone=by_line or len(block) == 1
            )
            scene = heading is None and headings.is_scene_break(self._text[slice(*line)])
            if heading or scene or by_line:
                self._end(paragraph)
            if scene:
                self._narration.scene_break(*line)
            elif heading:
                subtitle = self._subtitle(heading, block[at:], by_line)
                at += subtitle is not None
                self._say_heading(line, heading, subtitle)
            else:
                paragraph.append(line)
        self._end(paragraph)

    def _is_line_by_line(self, block: list[Span]) -> bool:
        meant = sum(self._is_meant(*pair) for pair in pairwise(block))
        return 2 * meant > len(block) - 1 > 0

    def _is_meant(self, line: Span, following: Span) -> bool:
        """Whether the break between two lines was made on purpose."""
        text, ahead = self._text[slice(*line)], self._text[slice(*following)]
        if headings.in_line(self._text, *line) or headings.is_scene_break(text):
            return True
        if not headings.ends_sentence(text):
            return False
        fits = len(text) + 1 + len(ahead.split(maxsplit=1)[0]) <= self._width
        return fits or self._width > WIDEST_WRAP or _DASH.match(ahead) is not None

    def _heading(self, line: Span, *, first: bool, alone: bool) -> Heading | None:
        heading = headings.in_line(self._text, *line)
        if heading is None or heading.marked:
            return heading
        return heading if first and (alone or not heading.loose) else None

    def _subtitle(self, heading: Heading, rest: list[Span], by_line: bool) -> Span | None:
        """The line below a bare "Capítulo 3" that is its title."""
        if not heading.bare or not rest or not (by_line or len(rest) == 1):
            return None
        if headings.in_line(self._text, *rest[0]):
            return None
        title = hygiene.clean(self._text[slice(*rest[0])])
        return rest[0] if headings.is_title_line(title) else None

    def _say_heading(self, line: Span, heading: Heading, subtitle: Span | None) -> None:
        narration, title = self._narration, heading.title
        narration.leave_out(line.start, heading.start, "markup")
        self._say(heading.start, heading.end, whole=True)
        narration.leave_out(heading.end, line.end, "markup")
        if subtitle:
            narration.end_sentence()
            self._say(*subtitle, whole=True)
            title = f"{title} — {hygiene.clean(self._text[slice(*subtitle)])}"
        self._levels.append((heading.level, title))
        narration.end_paragraph(heading=True, chapter=title if heading.level <= 2 else None)

    def _end(self, paragraph: list[Span]) -> None:
        if paragraph:
            self._say(paragraph[0].start, paragraph[-1].end)
            self._narration.end_paragraph()
            paragraph.clear()

    def _say(self, start: int, end: int, *, whole: bool = False) -> None:
        self._narration.say(Run(start, end, self._text[start:end]), self._style, whole=whole)
