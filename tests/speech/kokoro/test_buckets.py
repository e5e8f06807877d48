"""As few sizes are compiled as pay off, and every chunk finds one that it fits in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.speech.kokoro.buckets import MOST_PADDING, STEP, Sizes, rounded, sizes

COMPILE = 500
LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=40).map(tuple)


def cost(lengths: Sequence[int], chosen: Sequence[int]) -> int:
    """Frames that are computed, and compiled for."""
    computed = (min(size for size in chosen if size > length) for length in lengths)
    return sum(computed) + COMPILE * len(chosen)


@given(LENGTHS)
def test_every_chunk_fits_in_a_chosen_size(lengths: tuple[int, ...]) -> None:
    """The sizes rise, and the largest takes the longest chunk."""
    chosen = sizes(lengths, COMPILE)
    assert list(chosen) == sorted(set(chosen))
    assert chosen[-1] == rounded(max(lengths)) > max(lengths)
    assert all(size % STEP == 0 for size in chosen)


@given(st.lists(st.integers(1, 250), min_size=1, max_size=6).map(tuple), st.data())
def test_no_other_choice_takes_less_time(lengths: tuple[int, ...], data: st.DataObject) -> None:
    """Of all ways to choose sizes, none computes fewer frames, compiling included."""
    steps = sorted({rounded(length) for length in lengths})
    other = data.draw(st.lists(st.sampled_from(steps), unique=True))
    best = cost(lengths, sizes(lengths, COMPILE))
    assert best <= cost(lengths, sorted({*other, steps[-1]}))


def test_a_page_gets_one_size_and_a_book_more() -> None:
    """Compiling pays off only where enough chunks gain by it."""
    page = (60, 330, 340)
    assert sizes(page, COMPILE) == (rounded(340),)
    assert sizes(page * 50, COMPILE) == (rounded(60), rounded(340))


def test_nothing_to_come_needs_nothing() -> None:
    """No chunks, no sizes."""
    assert sizes((), COMPILE) == ()


@pytest.mark.parametrize(
    ("held", "frames", "planned", "size"),
    [
        ((), 100, (), 128),
        ((), 100, (150, 310), 160),
        ((320,), 100, (150, 310), 160),  # planned, and never compiled yet
        ((320,), 100, (), 320),  # wastes less than compiling takes
        ((1280,), 200, (), 224),
        ((160, 320), 100, (), 160),
        ((320,), 400, (310,), 416),  # longer than was foreseen
        ((352,), 10, (), 32),  # too much padding
    ],
)
def test_a_chunk_takes_what_costs_least(
    held: tuple[int, ...], frames: int, planned: tuple[int, ...], size: int
) -> None:
    """What is compiled already, unless it is so large that compiling again is cheaper."""
    chosen = Sizes(COMPILE)
    chosen.plan(planned * 20)
    assert chosen.fitting(held, frames) == size


def test_a_size_is_compiled_once_its_lack_has_cost_as_much() -> None:
    """What nobody foresaw has to prove that it comes again and again."""
    chosen = Sizes(COMPILE)
    taken = []
    for _ in range(4):
        taken.append(chosen.fitting([320], 100))
        chosen.used(taken[-1], 100)
    assert taken == [320, 320, 128, 128]  # 192 frames are wasted each time


def test_a_planned_size_that_was_let_go_has_to_earn_its_place_again() -> None:
    """Two books whose chunks come in turns do not compile for each other's every chunk."""
    chosen = Sizes(COMPILE)
    chosen.plan((150, 310) * 20)
    assert chosen.fitting([320], 100) == 160
    chosen.compiled(160)
    assert chosen.fitting([320], 100) == 320
    for _ in range(3):
        chosen.used(320, 100)
    assert chosen.fitting([320], 100) == 160


@given(LENGTHS, LENGTHS, st.lists(st.integers(1, 2000), min_size=1, max_size=50))
def test_a_chunk_always_fits(
    held: tuple[int, ...], planned: tuple[int, ...], chunks: list[int]
) -> None:
    """Whatever is held and planned, there is a frame to spare and not too much padding."""
    chosen = Sizes(COMPILE)
    chosen.plan(planned)
    for frames in chunks:
        size = chosen.fitting(held, frames)
        assert frames < size <= max(rounded(frames), MOST_PADDING * frames)
        chosen.used(size, frames)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), st.booleans())
def test_compiling_never_costs_more_than_twice_what_it_saves(
    chunks: list[int], is_sorted: bool
) -> None:
    """Without a plan, in any order: what is compiled anew was paid for by what was wasted."""
    chosen = Sizes(COMPILE)
    held: list[int] = []
    wasted, anew = 0, 0
    for frames in sorted(chunks, reverse=True) if is_sorted else chunks:
        size = chosen.fitting(held, frames)
        if size not in held:
            anew += any(frames < each <= MOST_PADDING * frames for each in held)
            chosen.compiled(size)
            held = [*held[-1:], size]
        chosen.used(size, frames)
        wasted += size - rounded(frames)
    # The chunk that tips the balance would have wasted less than the longest size.
    assert anew * COMPILE <= wasted + anew * rounded(600)
