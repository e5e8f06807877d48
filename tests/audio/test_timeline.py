"""When everything in the book happens."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.audio.presets import ACX
from darkchannel.audio.timeline import lay_out
from darkchannel.errors import MergeError
from darkchannel.models import ChapterMark, Plan, Take
from tests.audio.material import RATE, Material, material, sine


def book(count: int = 3, **options: object) -> Material:
    """Short takes with pauses of 0.3 s."""
    return material([sine(0.5 + 0.1 * n) for n in range(count)], **options)  # type: ignore[arg-type]


def bare(pauses: list[float], rate: int = RATE) -> tuple[Plan, list[Take]]:
    """A plan with these pauses and takes of one second, without any audio."""
    given = material([np.zeros(1, np.float32)] * len(pauses), pauses=pauses, rate=rate)
    return given.plan, [replace(take, frames=rate) for take in given.takes]


def test_order_and_pauses() -> None:
    """Head, takes, pauses and tail follow one another without gaps."""
    given = book(pauses=[0.6, 1.25, 0.3])
    timeline = lay_out(given.plan, given.takes, ACX, title="Livro")
    first, second, third = timeline.segments
    assert first.start == timeline.head == round(ACX.head_seconds * RATE)
    assert second.start == first.start + first.frames + round(0.6 * RATE)
    assert third.start == second.start + second.frames + round(1.25 * RATE)
    assert timeline.frames == third.start + third.frames + round(ACX.tail_seconds * RATE)
    assert timeline.seconds == timeline.frames / RATE


@pytest.mark.parametrize(("pause", "tail"), [(0.3, 2.0), (2.0, 2.0), (4.0, 4.0)])
def test_the_last_pause_counts_towards_the_tail(pause: float, tail: float) -> None:
    """After the last word there is the preset's silence, or the author's where that is longer."""
    given = book(1, pauses=[pause])
    timeline = lay_out(given.plan, given.takes, ACX, title="Livro")
    last = timeline.segments[-1]
    assert (timeline.frames - last.start - last.frames) / RATE == pytest.approx(tail, abs=1 / RATE)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.sampled_from([8000, 22_050, RATE]))
def test_pauses_are_exact_to_a_sample_and_do_not_drift(pauses: list[float], rate: int) -> None:
    """Each pause is right to one sample, and so is every take's distance from the start."""
    plan, takes = bare(pauses, rate)
    timeline = lay_out(plan, takes, ACX, title="Livro")
    elapsed = Fraction(timeline.head)
    for pause, segment in zip(pauses, timeline.segments, strict=True):
        assert abs(segment.pause - pause * rate) <= 1
        assert abs(segment.start - elapsed) <= 1
        elapsed += segment.frames + Fraction(pause) * rate


def test_ten_thousand_chunks_do_not_drift() -> None:
    """A pause that is no whole number of samples adds up to what it should."""
    pause = 0.3 + 0.4 / RATE
    plan, takes = bare([pause] * 10_000)
    timeline = lay_out(plan, takes, ACX, title="Livro")
    expected = ACX.head_seconds + 9_999 * (1 + pause)
    assert timeline.segments[-1].start / RATE == pytest.approx(expected, abs=1 / RATE)


def test_chapters_follow_their_takes() -> None:
    """A chapter begins with its first take and ends where the next begins."""
    given = book(4, chapters=[ChapterMark("Um", 1), ChapterMark("Dois", 3)])
    timeline = lay_out(given.plan, given.takes, ACX, title="Livro")
    first, second = timeline.chapters
    assert (first.title, first.start) == ("Um", 0.0)
    assert first.end == second.start == timeline.segments[2].start / RATE
    assert second.end == timeline.seconds


def test_what_comes_before_the_first_chapter_bears_the_books_title() -> None:
    """Players expect chapters without gaps from the very start."""
    given = book(3, chapters=[ChapterMark("Um", 2)])
    timeline = lay_out(given.plan, given.takes, ACX, title="Livro")
    assert [chapter.title for chapter in timeline.chapters] == ["Livro", "Um"]
    assert timeline.chapters[0].end == timeline.chapters[1].start


def test_no_chapters_are_invented() -> None:
    """A plan without chapters makes a book without chapters."""
    given = book()
    assert lay_out(given.plan, given.takes, ACX, title="Livro").chapters == ()


def test_cues_use_what_the_takes_know() -> None:
    """A sentence is shown from where its take says it begins to where the next one does."""
    given = book(2, texts=[("Um. ", "Dois. "), ("Três.",)])
    takes = [replace(given.takes[0], sentence_starts=(0.0, 0.2)), given.takes[1]]
    timeline = lay_out(given.plan, takes, ACX, title="Livro")
    start = timeline.head / RATE
    one, two, three = timeline.cues
    assert (one.start, one.end, one.text) == (start, start + 0.2, "Um. ")
    assert (two.start, two.end) == (start + 0.2, start + 0.5)
    assert three.start == timeline.segments[1].start / RATE


def test_cues_share_a_take_that_does_not_know() -> None:
    """Without any times, a sentence gets its share by the length of what is said."""
    given = book(1, texts=[("a" * 10, "b" * 30)])
    timeline = lay_out(given.plan, given.takes, ACX, title="Livro")
    one, two = timeline.cues
    assert one.end - one.start == pytest.approx(0.125)
    assert two.end - two.start == pytest.approx(0.375)


@given(st.lists(st.floats(-1, 2, allow_nan=False), min_size=3, max_size=3))
def test_impossible_times_are_kept_in_order_and_within_the_take(starts: list[float]) -> None:
    """Whatever an engine says, cues neither overlap nor leave their take."""
    given = book(1, texts=[("Um.", "Dois.", "Três.")])
    takes = [replace(given.takes[0], sentence_starts=tuple(starts))]
    timeline = lay_out(given.plan, takes, ACX, title="Livro")
    times = [time for cue in timeline.cues for time in (cue.start, cue.end)]
    assert times == sorted(times)
    assert times[0] >= timeline.head / RATE
    assert times[-1] <= timeline.head / RATE + given.takes[0].seconds + 1e-9


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_missing_take_is_named(kept: int) -> None:
    """The error names the first chunk without a take."""
    given = book(3)
    with pytest.raises(MergeError) as caught:
        lay_out(given.plan, given.takes[:kept], ACX, title="Livro")
    assert caught.value.chunk == kept + 1


def test_too_many_takes_are_refused() -> None:
    """A take that belongs to no chunk is a sign of another plan."""
    given = book(3)
    with pytest.raises(MergeError, match="expected 3 takes, found 4"):
        lay_out(given.plan, [*given.takes, given.takes[0]], ACX, title="Livro")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"digest": "0" * 64}, "another text or voice"),
        ({"index": 7}, "that of chunk 7"),
        ({"frames": 0}, "empty"),
        ({"sample_rate": 22_050}, "22050 Hz"),
    ],
)
def test_a_take_that_does_not_belong_is_named(change: dict[str, int], said: str) -> None:
    """A take of another text, place or rate is refused by the number of its chunk."""
    given = book(3)
    takes = [given.takes[0], replace(given.takes[1], **change), given.takes[2]]  # type: ignore[arg-type]
    with pytest.raises(MergeError, match=said) as caught:
        lay_out(given.plan, takes, ACX, title="Livro")
    assert caught.value.chunk == 2


@pytest.mark.parametrize("pause", [-1.0, float("nan"), float("inf")])
def test_impossible_pauses_are_refused(pause: float) -> None:
    """A pause is a finite time, never negative."""
    given = book(2, pauses=[0.3, pause])
    with pytest.raises(MergeError, match="pause"):
        lay_out(given.plan, given.takes, ACX, title="Livro")


def test_a_plan_without_chunks_is_refused() -> None:
    """There is no book without a take."""
    given = book(1)
    with pytest.raises(MergeError, match="no chunks"):
        lay_out(replace(given.plan, chunks=()), [], ACX, title="Livro")


@pytest.mark.parametrize("firsts", [(0,), (4,), (2, 2), (3, 1)])
def test_chapters_that_do_not_fit_are_refused(firsts: tuple[int, ...]) -> None:
    """A chapter begins at a chunk of the plan, after the one before it."""
    given = book(3, chapters=[ChapterMark("Um", first) for first in firsts])
    with pytest.raises(MergeError, match="chapters"):
        lay_out(given.plan, given.takes, ACX, title="Livro")
