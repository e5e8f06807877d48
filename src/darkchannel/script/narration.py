"""What a reader tells, sentence by sentence, until it is a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from darkchannel.errors import ScriptError
from darkchannel.models import Chapter, Script, ScriptWarning, Span, Unspoken, Utterance
from darkchannel.script import accounting, hygiene, pauses, sentences
from darkchannel.script.alignment import Alignment, Run
from darkchannel.script.lines import LineTable

_ENDS_WITH_STOP = re.compile(r"[.!?…][\"'”’»)\]*_]*$")
_CLOSING = re.compile(r"[.,;:!?…)\]”’»]+")


class Style(NamedTuple):
    """How a passage is spoken: BCP 47 language, voice (None is the job's own), relative rate."""

    language: str
    voice: str | None = None
    rate: float = 1.0


class Source(NamedTuple):
    """Where an utterance comes from: its alignment, and its place in the aligned text."""

    alignment: Alignment
    start: int

    def says(self, spoken: str) -> bool:
        """Whether this is where ``spoken`` comes from."""
        return self.alignment.spoken.startswith(spoken, self.start)


@dataclass(frozen=True, slots=True)
class AlignedScript(Script):
    """A script that still knows, for each utterance, which character comes from where.

    Attributes:
        sources: one for each utterance, in reading order.
        lines: the lines of the input.
    """

    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)
    lines: LineTable | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class _Segment:
    """Part of a paragraph in one style, up to a pause or an explicit end of a sentence."""

    style: Style
    whole: bool
    runs: list[Run] = field(default_factory=list)
    pause: float | None = None
    ends_sentence: bool = False

    @property
    def closed(self) -> bool:
        return self.pause is not None or self.ends_sentence


def _give_closing(segment: _Segment, run: Run) -> Run:
    """Leave a comma or stop after a tag to the words before the tag; the rest of the run."""
    closing = _CLOSING.match(run.text) if run.said is None else None
    if closing is None or len(run.text) != run.end - run.start:
        return run
    cut = closing.end()
    segment.runs.append(Run(run.start, run.start + cut, run.text[:cut]))
    return Run(run.start + cut, run.end, run.text[cut:])


def _brief(message: str) -> str:
    """A message that may quote the input, which may quote at any length."""
    return message if len(message) <= 300 else message[:299] + "…"


class Narration:
    """Collects what is said, with the pauses between, and what is not said.

    A reader calls the verbs below in the order of the input and takes the script from
    :meth:`finish`.
    """

    def __init__(self, text: str) -> None:
        self.title: str | None = None
        self._text = text
        self._lines = LineTable(text)
        self._paragraph: list[_Segment] = []
        self._utterances: list[Utterance] = []
        self._sources: list[Source] = []
        self._chapters: list[tuple[str | None, int]] = [(None, 0)]
        self._left_out: list[Unspoken] = []
        self._warnings: dict[str, list[int]] = {}
        self._gap = 0.0
        self._asked: float | None = None

    def error(self, offset: int, message: str, remedy: str = "") -> ScriptError:
        """An error that names the line of a character of the input."""
        return ScriptError(f"line {self._lines.line(offset)}: {_brief(message)}", remedy=remedy)

    def warn(self, offset: int, message: str) -> None:
        """Note something doubtful; the same thing said again is only counted."""
        self._warnings.setdefault(_brief(message), []).append(self._lines.line(offset))

    def leave_out(self, start: int, end: int, reason: str) -> None:
        """Account for characters that are not spoken."""
        if start < end:
            self._left_out.append(Unspoken(Span(start, end), reason))

    def say(self, run: Run, style: Style, *, whole: bool = False) -> None:
        """Go on with the paragraph; ``whole`` means that its stops end no sentence."""
        last = self._paragraph[-1] if self._paragraph else None
        if last and not last.closed and (last.style, last.whole) == (style, whole):
            last.runs.append(run)
            return
        if last and not last.ends_sentence:
            run = _give_closing(last, run)
        if run.said is not None or not hygiene.blank(run.text):
            self._paragraph.append(_Segment(style, whole, [run]))

    def end_sentence(self) -> None:
        """Whatever comes next is another sentence."""
        if self._paragraph:
            self._paragraph[-1].ends_sentence = True

    def pause(self, seconds: float) -> None:
        """A pause asked for here; several in a row add up."""
        if self._paragraph:
            last = self._paragraph[-1]
            last.pause = (last.pause or 0.0) + seconds
        else:
            self._asked = (self._asked or 0.0) + seconds

    def end_paragraph(self, *, heading: bool = False, chapter: str | None = None) -> None:
        """The paragraph is complete.

        Args:
            heading: it is one.
            chapter: title of the chapter it begins.
        """
        paragraph, self._paragraph = self._paragraph, []
        if chapter is not None:
            self._open_chapter(chapter)
        spoken = len(self._utterances)
        for segment in paragraph:
            self._speak(segment)
        if len(self._utterances) > spoken:
            self._gap = max(self._gap, pauses.HEADING if heading else pauses.PARAGRAPH)

    def scene_break(self, start: int, end: int) -> None:
        """A line that stands for a change of scene."""
        self.leave_out(start, end, "scene break")
        self._gap = max(self._gap, pauses.SCENE)

    def begin_chapter(self, title: str) -> None:
        """What follows is a chapter."""
        self.end_paragraph()
        self._open_chapter(title)

    @property
    def titled_chapters(self) -> int:
        """How many chapters with a title there are so far."""
        return len(self._chapters) - (self._chapters[0][0] is None)

    def _open_chapter(self, title: str) -> None:
        begins = len(self._utterances)
        known, start = self._chapters[-1]
        if start == begins:
            # A heading right after a chapter's mark belongs to that chapter.
            self._chapters[-1] = (known or title, begins)
        else:
            self._chapters.append((title, begins))
        self._gap = max(self._gap, pauses.CHAPTER)

    def _speak(self, segment: _Segment) -> None:
        alignment = Alignment(segment.runs)
        before = len(self._utterances)
        for start, end in self._sentences(segment, alignment):
            if hygiene.speakable(alignment.spoken[start:end]) or alignment.pronounced(start, end):
                self._utter(segment.style, alignment, start, end)
            else:
                self._pass_over(alignment, start, end)
        stops = _ENDS_WITH_STOP.search(alignment.spoken[-40:].rstrip(" ")) is not None
        if len(self._utterances) > before:
            self._gap = pauses.SENTENCE if stops or segment.ends_sentence else pauses.CLAUSE
        elif stops or segment.ends_sentence:
            self._gap = max(self._gap, pauses.SENTENCE)
        if segment.pause is not None:
            self._asked = (self._asked or 0.0) + segment.pause

    def _sentences(self, segment: _Segment, alignment: Alignment) -> Iterator[tuple[int, int]]:
        spoken = alignment.spoken
        if segment.whole:
            start, end = hygiene.trimmed(spoken, 0, len(spoken))
            if start < end:
                yield start, end
            return
        begin: int | None = None
        for start, end in sentences.split(spoken, segment.style.language):
            begin = start if begin is None else begin
            following = end + 1
            if following < len(spoken) and not alignment.divisible(end - 1, following):
                continue
            yield begin, end
            begin = None

    def _utter(self, style: Style, alignment: Alignment, start: int, end: int) -> None:
        if self._utterances:
            pause = self._gap if self._asked is None else pauses.exact(self._asked)
            self._utterances[-1] = replace(self._utterances[-1], pause_after=pause)
        elif self._asked is not None:
            self.warn(alignment.start(start), "a break before the first word has no effect")
        self._utterances.append(
            Utterance(
                text=alignment.written(start, end),
                spoken=alignment.spoken[start:end],
                language=style.language,
                voice=style.voice,
                rate=style.rate,
                pronunciations=alignment.pronounced(start, end),
                spans=alignment.spans(start, end),
            )
        )
        self._sources.append(Source(alignment, start))
        self._gap, self._asked = pauses.SENTENCE, None

    def _pass_over(self, alignment: Alignment, start: int, end: int) -> None:
        spoken = alignment.spoken[start:end]
        reason = hygiene.why_silent(spoken)
        spans = alignment.spans(start, end)
        self._left_out += (Unspoken(span, reason) for span in spans)
        if reason != "punctuation":
            self.warn(spans[0].start, f"there is nothing to say in {spoken[:20]!r}")

    def finish(self) -> AlignedScript:
        """The script.

        Raises:
            ScriptError: nothing in it can be spoken.
        """
        self.end_paragraph()
        if not self._utterances:
            raise ScriptError(
                "there is nothing to say in the input: expected at least one word",
                remedy="check that it is the file you meant",
            )
        if self._asked is not None:
            self.warn(
                self._utterances[-1].spans[-1].end, "a break after the last word has no effect"
            )
        spans = [span for utterance in self._utterances for span in utterance.spans]
        return AlignedScript(
            title=self.title,
            chapters=tuple(self._finished_chapters()),
            unspoken=accounting.complete(self._text, spans, self._left_out),
            warnings=tuple(self._finished_warnings()),
            characters=len(self._text),
            sources=tuple(self._sources),
            lines=self._lines,
        )

    def _finished_chapters(self) -> Iterator[Chapter]:
        starts = [*(start for _, start in self._chapters), len(self._utterances)]
        for (title, start), end in zip(self._chapters, starts[1:], strict=True):
            if start < end:
                yield Chapter(title, tuple(self._utterances[start:end]))
            elif title is not None:
                self.warn(len(self._text), f"the chapter {title!r} has no text and is left out")

    def _finished_warnings(self) -> Iterator[ScriptWarning]:
        for message, lines in sorted(self._warnings.items(), key=lambda item: item[1][0]):
            times = f" ({len(lines)} times)" if len(lines) > 1 else ""
            yield ScriptWarning(lines[0], message + times)
