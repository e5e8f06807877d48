"""Counting utterances, and dividing those an engine could not speak well in one piece."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from darkchannel.errors import ScriptError
from darkchannel.models import Pronunciation, TokenCounter, Unspoken, Utterance
from darkchannel.script import clauses, hygiene, pauses, tempo
from darkchannel.script.alignment import Alignment, Run
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
        divided_word: characters of the longest word that had to be divided, or 0.
    """

    parts: tuple[Part, ...]
    left_out: tuple[Unspoken, ...]
    divided_word: int = 0


class Measure:
    """An engine's measure: its count, and how much it speaks well or at all at once.

    Sentences above 1.25 times the longest chunk are divided at clauses.  Words are divided
    only when one alone is above what the engine takes: that limit wins over everything.

    Args:
        count: tokens of an utterance.
        longest: the most tokens a chunk should have.
        max_tokens: the most the engine takes.
    """

    def __init__(self, count: TokenCounter, *, longest: int, max_tokens: int) -> None:
        self._count = count
        self.longest = longest
        self.max_tokens = max_tokens
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
                return Measured((Part(utterance, tokens),), ())
            if tokens == 0:
                return Measured((), tuple(_silent(utterance)))
        return _Division(self, utterance, source or _own_source(utterance)).result()


class _Division:
    """One utterance on its way to be several."""

    def __init__(self, measure: Measure, utterance: Utterance, source: Source) -> None:
        self._measure = measure
        self._utterance = utterance
        self._text = utterance.spoken
        self._alignment = source.alignment
        self._offset = source.start
        self._divided_word = 0

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
            else:
                left_out += _silent(part.utterance)
        return Measured(tuple(parts), tuple(left_out), self._divided_word)

    def _divide(self, start: int, end: int) -> Iterator[tuple[int, int, Part]]:
        """Pieces of ``[start, end)`` that are short enough, in order."""
        measure, length = self._measure, end - start
        if length <= measure.countable:
            utterance = self._part(start, end)
            tokens = measure.tokens(utterance)
            if tokens <= measure.limit:
                yield start, end, Part(utterance, tokens)
                return
        else:
            tokens = ceil(length * tempo.TOKENS_A_CHARACTER)
        cuts = clauses.divide(
            self._text[start:end],
            tokens,
            aim=measure.longest,
            limit=measure.limit,
            may_cut=lambda at: self._may_cut(start + at, start + at + 1),
        )
        if cuts:
            pieces = [*((start + at, start + at + 1) for at in cuts), (end, end)]
        elif length <= measure.countable and tokens <= measure.max_tokens:
            yield start, end, Part(utterance, tokens)
            return
        else:
            pieces = [*((at, at) for at in self._letters(start, end, tokens)), (end, end)]
        for stop, following in pieces:
            yield from self._divide(start, stop)
            start = following

    def _letters(self, start: int, end: int, tokens: int) -> Iterator[int]:
        """Places between characters at which to divide a word that is too long to be said."""
        step = ceil((end - start) / ceil(tokens / self._measure.longest))
        place, found = start, False
        while end - place > step:
            place += step
            while place < end and not self._may_part(place):
                place += 1
            if place < end:
                found = True
                yield place
        if not found:
            raise self._too_long(start, end)
        self._divided_word = max(self._divided_word, end - start)

    def _may_part(self, at: int) -> bool:
        letter = self._text[at]
        return not unicodedata.combining(letter) and self._may_cut(at, at)

    def _may_cut(self, stop: int, following: int) -> bool:
        """Whether a part may end at ``stop`` and the next begin at ``following``."""
        if any(given.start < following and stop < given.end for given in self._given):
            return False
        offset = self._offset
        return self._alignment.divisible(offset + stop - 1, offset + following)

    @property
    def _given(self) -> tuple[Pronunciation, ...]:
        return self._utterance.pronunciations

    def _part(self, start: int, end: int) -> Utterance:
        if (start, end) == (0, len(self._text)):
            return self._utterance
        first, last = self._offset + start, self._offset + end
        return replace(
            self._utterance,
            text=self._alignment.written(first, last),
            spoken=self._text[start:end],
            pause_after=self._utterance.pause_after if end == len(self._text) else pauses.CLAUSE,
            pronunciations=tuple(
                Pronunciation(given.start - start, given.end - start, given.ipa)
                for given in self._given
                if start <= given.start < end
            ),
            spans=self._alignment.spans(first, last),
        )

    def _between(self, stop: int, following: int) -> Iterator[Unspoken]:
        reason = "whitespace" if following > stop else "control character"
        offset = self._offset
        for span in self._alignment.spans_between(offset + stop - 1, offset + following):
            yield Unspoken(span, reason)

    def _too_long(self, start: int, end: int) -> ScriptError:
        return ScriptError(
            f"{self._text[start:end][:30]!r} must be said in one piece but is more than "
            f"the {self._measure.max_tokens} tokens the engine takes",
            remedy="shorten the alias or the phonemes, or say-as fewer characters at once",
        )


def _silent(utterance: Utterance) -> Iterator[Unspoken]:
    reason = hygiene.why_silent(utterance.spoken)
    if hygiene.speakable(utterance.spoken):
        reason = "nothing to say"
    for span in utterance.spans:
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
