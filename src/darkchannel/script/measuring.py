"""Counting utterances, and dividing those an engine could not speak well in one piece."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from darkchannel.errors import ScriptError
from darkchannel.models import (
    ScriptWarning,
    TokenCounter,
    Unspoken,
    Utterance,
)
from darkchannel.script import clauses, hygiene, pauses, tempo
from darkchannel.script.alignment import Alignment, Run, pronounced
from darkchannel.script.lines import LineTable
from darkchannel.script.narration import Source

_TOLERANCE = 1.25


class Part(NamedTuple):
    """An utterance, or part of one, with its number of tokens."""

    utterance: Utterance
    tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of one utterance.

    Attributes:
        parts: what is spoken, in order; empty when the engine has nothing to say.
        left_out: characters of the utterance that no part covers.
        warnings: a word that had to be divided, or something the engine cannot say.
    """

    parts: tuple[Part, ...]
    left_out: tuple[Unspoken, ...] = ()
    warnings: tuple[ScriptWarning, ...] = ()


class Measure:
    """An engine's measure: its count, and how much it speaks well or at all at once.

    Sentences above 1.25 times the longest chunk are divided at clauses.  Words are divided
    only when one alone is above what the engine takes: that limit wins over everything.

    Args:
        count: tokens of an utterance.
        longest: the most tokens a chunk should have.
        max_tokens: the most the engine takes.
        lines: of the input, for messages.
    """

    def __init__(
        self, count: TokenCounter, *, longest: int, max_tokens: int, lines: LineTable | None = None
    ) -> None:
        self._count = count
        self.longest = longest
        self.max_tokens = max_tokens
        self.lines = lines
        self.limit = min(max_tokens, int(longest * _TOLERANCE))
        # Longer ones must be divided anyway; counting them whole would only cost time.
        self.countable = 2 * self.limit

    def tokens(self, utterance: Utterance) -> int:
        """The engine's count, or 0 where there is neither letter, digit nor phoneme."""
        if utterance.pronunciations or hygiene.speakable(utterance.spoken):
            return self._count(utterance)
        return 0

    def take(self, utterance: Utterance, source: Source | None) -> Measured:
        """Count an utterance and divide it where it must be.

        Args:
            utterance: what is to be said.
            source: where it comes from; without it, only an utterance as long as its spans
                can be divided.

        Raises:
            ScriptError: what must stay in one piece is more than the engine takes.
        """
        if len(utterance.spoken) <= self.countable:
            tokens = self.tokens(utterance)
            if 0 < tokens <= self.limit:
                return Measured((Part(utterance, tokens),))
        if source is None or not source.says(utterance.spoken):
            source = _own_source(utterance)
        return _Division(self, utterance, source).result()


class _Division:
    """One utterance on its way to be several."""

    def __init__(self, measure: Measure, utterance: Utterance, source: Source) -> None:
        self._measure = measure
        self._utterance = utterance
        self._text = utterance.spoken
        self._alignment = source.alignment
        self._offset = source.start
        self._warnings: list[ScriptWarning] = []

    def result(self) -> Measured:
        parts: list[Part] = []
        left_out: list[Unspoken] = []
        place = 0
        for start, end, part in self._divide(0, len(self._text)):
            if start > 0:
                left_out += self._between(place, start)
            place = end
            if part.tokens:
                parts.append(part)
                continue
            silent = part.utterance
            reason = hygiene.why_silent(silent.spoken)
            left_out += (Unspoken(span, reason) for span in silent.spans)
            if reason != "punctuation":
                self._warn(start, f"there is nothing to say in {silent.spoken[:20]!r}")
        if parts:
            last, tokens = parts[-1]
            parts[-1] = Part(replace(last, pause_after=self._utterance.pause_after), tokens)
        return Measured(tuple(parts), tuple(left_out), tuple(self._warnings))

    def _divide(self, start: int, end: int) -> Iterator[tuple[int, int, Part]]:
        """Pieces of ``[start, end)`` that are short enough, in order."""
        measure, length = self._measure, end - start
        part = self._counted(start, end) if length <= measure.countable else None
        if part and part.tokens <= measure.limit:
            yield start, end, part
            return
        tokens = part.tokens if part else ceil(length * tempo.TOKENS_A_CHARACTER)
        cuts = self._spaces(start, end, tokens)
        if not cuts:
            if part is None and length <= 4 * measure.max_tokens:
                part = self._counted(start, end)
            if part and part.tokens <= measure.max_tokens:
                yield start, end, part
                return
            cuts = self._letters(start, end, part.tokens if part else tokens)
        for stop, following in [*cuts, (end, end)]:
            yield from self._divide(start, stop)
            start = following

    def _spaces(self, start: int, end: int, tokens: int) -> list[tuple[int, int]]:
        """Where parts end and the next begin when words stay whole."""
        cuts = clauses.divide(
            self._text[start:end],
            tokens,
            aim=self._measure.longest,
            limit=self._measure.limit,
            may_cut=lambda at: self._may_cut(start + at, start + at + 1),
        )
        return [(start + at, start + at + 1) for at in cuts]

    def _letters(self, start: int, end: int, tokens: int) -> list[tuple[int, int]]:
        """The same for a word that is too long to be said at once."""
        step = ceil((end - start) / ceil(tokens / self._measure.longest))
        cuts = []
        place = start
        while end - place > step:
            place += step
            while place < end and not self._may_part(place):
                place += 1
            if place < end:
                cuts.append((place, place))
        if not cuts:
            said = self._text[start:end][:30]
            raise ScriptError(
                f"line {self._line(start)}: {said!r} must be said in one piece but is more than "
                f"the {self._measure.max_tokens} tokens the engine takes",
                remedy="shorten the alias or the phonemes, or say-as fewer characters at once",
            )
        self._warn(start, f"a word of {end - start} characters is too long and is divided")
        return cuts

    def _warn(self, position: int, message: str) -> None:
        """Warn of what was found first; the rest of the utterance is likely the same."""
        if not self._warnings:
            self._warnings.append(ScriptWarning(self._line(position), message))

    def _line(self, position: int) -> int:
        lines = self._measure.lines
        return lines.line(self._alignment.start(self._offset + position)) if lines else 1

    def _may_part(self, at: int) -> bool:
        return not unicodedata.combining(self._text[at]) and self._may_cut(at, at)

    def _may_cut(self, stop: int, following: int) -> bool:
        """Whether a part may end at ``stop`` and the next begin at ``following``."""
        given = self._utterance.pronunciations
        at = bisect_right(given, stop, key=lambda one: one.end)
        if at < len(given) and given[at].start < following:
            return False
        offset = self._offset
        return self._alignment.divisible(offset + stop - 1, offset + following)

    def _counted(self, start: int, end: int) -> Part:
        utterance = self._part(start, end)
        return Part(utterance, self._measure.tokens(utterance))

    def _part(self, start: int, end: int) -> Utterance:
        first, last = self._offset + start, self._offset + end
        return replace(
            self._utterance,
            text=self._alignment.written(first, last),
            spoken=self._text[start:end],
            pause_after=pauses.CLAUSE,
            pronunciations=pronounced(self._utterance.pronunciations, start, end),
            spans=self._alignment.spans(first, last),
        )

    def _between(self, stop: int, following: int) -> Iterator[Unspoken]:
        reason = "whitespace" if following > stop else "control character"
        offset = self._offset
        for span in self._alignment.spans_between(offset + stop - 1, offset + following):
            yield Unspoken(span, reason)


def _own_source(utterance: Utterance) -> Source:
    """The alignment of an utterance whose script was not read from a text."""
    place, runs = 0, []
    for start, end in utterance.spans:
        runs.append(Run(start, end, utterance.spoken[place : place + end - start]))
        place += end - start
    alignment = Alignment(runs) if place == len(utterance.spoken) else None
    if alignment is None or alignment.spoken != utterance.spoken:
        start, end = utterance.spans[0].start, utterance.spans[-1].end
        whole = Run(start, end, utterance.spoken, said=utterance.spoken)
        return Source(Alignment([whole]), 0)
    return Source(alignment, 0)
