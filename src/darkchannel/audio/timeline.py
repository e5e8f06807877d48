"""When everything in the book happens, exact to the sample.

All arithmetic is in whole samples of the takes' rate.  A pause is rounded from the sum of all
pauses before it, so that each is right to one sample and ten thousand of them do not drift.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from darkchannel.audio.presets import Preset
from darkchannel.errors import MergeError
from darkchannel.models import Chunk, Plan, Take


class Cue(NamedTuple):
    """A sentence as written, and when it is heard, in seconds from the book's start."""

    start: float
    end: float
    text: str


class ChapterTime(NamedTuple):
    """A chapter and when it begins and ends, in seconds from the book's start."""

    title: str
    start: float
    end: float


class Segment(NamedTuple):
    """One take on the timeline, in samples: where it starts, its length and its pause."""

    start: int
    frames: int
    pause: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The book in samples of the takes' own rate.

    Attributes:
        sample_rate: of the takes, in Hz.
        head: silence before the first take, in samples.
        segments: one for each take, in order.
        tail: silence after the last take's own pause, in samples.
        chapters: without gaps from the start to the end; empty if the plan names none.
        cues: one for each sentence, in order, not overlapping.
    """

    sample_rate: int
    head: int
    segments: tuple[Segment, ...]
    tail: int
    chapters: tuple[ChapterTime, ...]
    cues: tuple[Cue, ...]

    @property
    def frames(self) -> int:
        """Length of the whole in samples."""
        last = self.segments[-1]
        return last.start + last.frames + last.pause + self.tail

    @property
    def seconds(self) -> float:
        """Length of the whole."""
        return self.frames / self.sample_rate


def lay_out(plan: Plan, takes: Sequence[Take], preset: Preset, *, title: str) -> Timeline:
    """Put the takes of a plan one after the other.

    Args:
        plan: what is said, with its pauses and chapters.
        takes: facts about one take for each chunk, in order.
        preset: gives the silence at both ends.
        title: of the book; names what comes before the first chapter, if anything does.

    Raises:
        MergeError: a take is missing, too many, of another chunk, empty or of another rate, or
            the plan's chapters do not fit its chunks.
    """
    _check(plan, takes)
    rate = takes[0].sample_rate
    head = round(preset.head_seconds * rate)
    segments = tuple(_segments(plan.chunks, takes, head))
    tail = max(0, round(preset.tail_seconds * rate) - segments[-1].pause)
    end = segments[-1].start + segments[-1].frames + segments[-1].pause + tail
    return Timeline(
        sample_rate=rate,
        head=head,
        segments=segments,
        tail=tail,
        chapters=tuple(_chapters(plan, segments, rate, end, title)),
        cues=tuple(_cues(plan.chunks, takes, segments, rate)),
    )


def _check(plan: Plan, takes: Sequence[Take]) -> None:
    if not plan.chunks:
        raise MergeError("the plan has no chunks: there is nothing to join")
    for chunk, take in itertools.zip_longest(plan.chunks, takes):
        if take is None:
            raise MergeError(
                f"expected {len(plan.chunks)} takes, found {len(takes)}: the first missing is "
                f"that of chunk {chunk.index}",
                chunk=chunk.index,
            )
        if chunk is None:
            raise MergeError(f"expected {len(plan.chunks)} takes, found {len(takes)}")
        _check_take(chunk, take, takes[0].sample_rate)
    first_chunks = [mark.first_chunk for mark in plan.chapters]
    if not all(1 <= first <= len(plan.chunks) for first in first_chunks) or any(
        later <= earlier for earlier, later in itertools.pairwise(first_chunks)
    ):
        raise MergeError("the plan's chapters do not begin at its chunks, one after the other")


def _check_take(chunk: Chunk, take: Take, sample_rate: int) -> None:
    problem = ""
    if take.index != chunk.index:
        problem = f"expected the take of chunk {chunk.index}, found that of chunk {take.index}"
    elif take.digest != chunk.digest:
        problem = f"the take of chunk {chunk.index} is one of another text or voice"
    elif take.frames <= 0:
        problem = f"the take of chunk {chunk.index} is empty"
    elif take.sample_rate != sample_rate:
        problem = (
            f"the take of chunk {chunk.index} is at {take.sample_rate} Hz, "
            f"those before it at {sample_rate} Hz"
        )
    elif not (math.isfinite(chunk.pause_after) and chunk.pause_after >= 0):
        problem = f"the pause after chunk {chunk.index} is {chunk.pause_after} s"
    if problem:
        raise MergeError(problem, remedy="render the chunk again", chunk=chunk.index)


def _segments(chunks: Sequence[Chunk], takes: Sequence[Take], head: int) -> Iterator[Segment]:
    start = head
    asked = Fraction(0)
    given = 0
    for chunk, take in zip(chunks, takes, strict=True):
        asked += Fraction(chunk.pause_after)
        pause = round(asked * take.sample_rate) - given
        yield Segment(start, take.frames, pause)
        given += pause
        start += take.frames + pause


def _chapters(
    plan: Plan, segments: Sequence[Segment], rate: int, end: int, title: str
) -> Iterator[ChapterTime]:
    starts = [(mark.title, segments[mark.first_chunk - 1].start) for mark in plan.chapters]
    if not starts:
        return
    if plan.chapters[0].first_chunk > 1:
        starts.insert(0, (title, 0))
    else:
        starts[0] = (starts[0][0], 0)
    ends = [start for _, start in starts[1:]] + [end]
    for (name, start), stop in zip(starts, ends, strict=True):
        yield ChapterTime(name, start / rate, stop / rate)


def _cues(
    chunks: Sequence[Chunk], takes: Sequence[Take], segments: Sequence[Segment], rate: int
) -> Iterator[Cue]:
    for chunk, take, segment in zip(chunks, takes, segments, strict=True):
        offset = segment.start / rate
        starts = _sentence_starts(chunk, take)
        ends = (*starts[1:], take.seconds)
        for utterance, start, end in zip(chunk.utterances, starts, ends, strict=True):
            yield Cue(offset + start, offset + end, utterance.text)


def _sentence_starts(chunk: Chunk, take: Take) -> tuple[float, ...]:
    """The take's own, kept in order and within it; by the length of the text if it has none."""
    if len(take.sentence_starts) == len(chunk.utterances):
        ordered = itertools.accumulate(take.sentence_starts, max)
        return tuple(min(max(0.0, start), take.seconds) for start in ordered)
    lengths = [len(utterance.spoken) for utterance in chunk.utterances]
    before = itertools.accumulate(lengths[:-1], initial=0)
    return tuple(take.seconds * length / max(1, sum(lengths)) for length in before)
