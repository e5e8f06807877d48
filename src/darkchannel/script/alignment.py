"""What is spoken, held against the characters of the input it comes from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from darkchannel.models import Pronunciation, Span
from darkchannel.script import hygiene
from darkchannel.script.offsets import Edit, OffsetMap, rewrite


class Run(NamedTuple):
    """A stretch of the input that is read in one way.

    Attributes:
        start: first character of the input.
        end: one past its last.
        text: what is written there; when it is not as long as the range, the whole text
            stands for the whole range (``&amp;``).
        said: what to say instead, as one piece that is never divided; None to say the text.
        ipa: phonemes for what is said, where the author gave them.
    """

    start: int
    end: int
    text: str
    said: str | None = None
    ipa: str | None = None


class Alignment:
    """A text made ready to be spoken, which knows where each character comes from.

    Attributes:
        spoken: NFC, on one line, substitutions applied.
        pronunciations: phonemes given by the author, as ranges of :attr:`spoken`.
    """

    __slots__ = (
        "_composed",
        "_raw",
        "_run_ends",
        "_run_starts",
        "_source",
        "_spaced",
        "pronunciations",
        "spoken",
    )

    def __init__(self, runs: Sequence[Run]) -> None:
        self._run_starts = [run.start for run in runs]
        self._run_ends = [run.end for run in runs]
        self._raw = "".join(run.text for run in runs)
        self._source = _source_map(runs)
        spaced, self._spaced = rewrite(self._raw, _reading_edits(self._raw, runs))
        self.spoken, self._composed = rewrite(spaced, hygiene.composition_edits(spaced))
        self.pronunciations = tuple(self._given(runs))

    def start(self, position: int) -> int:
        """First character of the input that the spoken one at ``position`` comes from."""
        return self._source.start(self._spaced.start(self._composed.start(position)))

    def end(self, position: int) -> int:
        """One past the last character of the input it comes from."""
        return self._source.end(self._raw_end(position) - 1)

    def divisible(self, left: int, right: int) -> bool:
        """Whether the text may be divided after ``left`` and before ``right``."""
        return self.end(left) <= self.start(right)

    def written(self, start: int, end: int) -> str:
        """The input of a range of :attr:`spoken`, as written but on one line."""
        first = self._spaced.start(self._composed.start(start))
        return hygiene.one_line(self._raw[first : self._raw_end(end - 1)])

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """The characters of the input of a range of :attr:`spoken`, markup left out."""
        return self._covered(self.start(start), self.end(end - 1))

    def spans_between(self, left: int, right: int) -> tuple[Span, ...]:
        """The characters of the input after one spoken character and before another."""
        return self._covered(self.end(left), self.start(right))

    def _covered(self, first: int, last: int) -> tuple[Span, ...]:
        spans: list[Span] = []
        at = max(0, bisect_right(self._run_starts, first) - 1)
        while at < len(self._run_starts) and self._run_starts[at] < last:
            piece = Span(max(first, self._run_starts[at]), min(last, self._run_ends[at]))
            at += 1
            if piece.start >= piece.end:
                continue
            if spans and spans[-1].end == piece.start:
                spans[-1] = Span(spans[-1].start, piece.end)
            else:
                spans.append(piece)
        return tuple(spans)

    def pronounced(self, start: int, end: int) -> tuple[Pronunciation, ...]:
        """The given phonemes of a range of :attr:`spoken`, relative to its start."""
        return pronounced(self.pronunciations, start, end)

    def _raw_end(self, position: int) -> int:
        return self._spaced.end(self._composed.end(position) - 1)

    def _given(self, runs: Sequence[Run]) -> Iterator[Pronunciation]:
        place = 0
        for run in runs:
            begin, place = place, place + len(run.text)
            if run.ipa is not None:
                start = self._composed.new_start(self._spaced.new_start(begin))
                end = self._composed.new_end(self._spaced.new_end(place))
                yield Pronunciation(start, end, run.ipa)


def pronounced(
    pronunciations: Sequence[Pronunciation], start: int, end: int
) -> tuple[Pronunciation, ...]:
    """Those that lie in ``[start, end)``, relative to its start; they come in order."""
    if not pronunciations:
        return ()
    first = bisect_right(pronunciations, start, key=lambda given: given.end)
    last = bisect_left(pronunciations, end, key=lambda given: given.start)
    return tuple(
        Pronunciation(given.start - start, given.end - start, given.ipa)
        for given in pronunciations[first:last]
    )


def _source_map(runs: Sequence[Run]) -> OffsetMap:
    offsets, place, last = OffsetMap(), 0, 0
    for run in runs:
        if run.start > last:
            offsets.add(Edit(last, run.start, ""), place)
        if run.said is not None or len(run.text) != run.end - run.start:
            offsets.add(Edit(run.start, run.end, run.text), place)
        place += len(run.text)
        last = run.end
    return offsets


def _reading_edits(raw: str, runs: Sequence[Run]) -> Iterator[Edit]:
    """Substitutions, and tidy spaces between them."""
    last = place = 0
    for run in runs:
        if run.said is not None:
            yield from _shifted(raw, last, place)
            last = place + len(run.text)
            yield Edit(place, last, run.said)
        place += len(run.text)
    yield from _shifted(raw, last, place)


def _shifted(raw: str, start: int, end: int) -> Iterator[Edit]:
    piece = raw if (start, end) == (0, len(raw)) else raw[start:end]
    for edit in hygiene.space_edits(piece):
        yield Edit(edit.start + start, edit.end + start, edit.text)
