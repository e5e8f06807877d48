"""Few sizes are compiled, and every chunk finds one that it fits in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.speech.kokoro.buckets import (
    COMPILE_FRAMES,
    MOST,
    MOST_PADDING,
    STEP,
    fitting,
    rounded,
    sizes,
)

LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=40).map(tuple)


def cost(lengths: Sequence[int], chosen: Sequence[int]) -> int:
    """Frames that are computed, and compiled for."""
    computed = (min(size for size in chosen if size > length) for length in lengths)
    return sum(computed) + COMPILE_FRAMES * len(chosen)


@given(LENGTHS)
def test_every_chunk_fits_in_a_chosen_size(lengths: tuple[int, ...]) -> None:
    """The sizes rise, are few, and the largest takes the longest chunk."""
    chosen = sizes(lengths)
    assert list(chosen) == sorted(set(chosen))
    assert 1 <= len(chosen) <= MOST
    assert chosen[-1] == rounded(max(lengths)) > max(lengths)
    assert all(size % STEP == 0 for size in chosen)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5).map(tuple))
def test_no_other_choice_takes_less_time(lengths: tuple[int, ...]) -> None:
    """Of all ways to choose up to three sizes, none computes fewer frames, compiling included."""
    steps = sorted({rounded(length) for length in lengths})
    best = cost(lengths, sizes(lengths))
    for first in steps:
        for second in steps:
            assert best <= cost(lengths, sorted({first, second, steps[-1]}))


def test_a_page_gets_one_size_and_a_book_more() -> None:
    """Compiling pays off only where enough chunks gain by it."""
    page = (60, 330, 340)
    assert sizes(page) == (rounded(340),)
    assert sizes(page * 50) == (rounded(60), rounded(340))


def test_nothing_to_come_needs_nothing() -> None:
    """No chunks, no sizes."""
    assert sizes(()) == ()


@pytest.mark.parametrize(
    ("held", "frames", "planned", "size"),
    [
        ((), 100, (), 128),
        ((), 100, (160, 320), 160),
        ((320,), 100, (160, 320), 320),  # wastes less than compiling takes
        ((1280,), 200, (256, 1280), 256),
        ((160, 320), 100, (), 160),
        ((320,), 400, (320,), 416),  # longer than was foreseen
        ((352,), 10, (352,), 32),  # too much padding
    ],
)
def test_a_chunk_takes_what_costs_least(
    held: tuple[int, ...], frames: int, planned: tuple[int, ...], size: int
) -> None:
    """What is compiled already, unless it is so large that compiling again is cheaper."""
    assert fitting(held, frames, planned) == size


@given(LENGTHS, LENGTHS, st.integers(1, 2000))
def test_a_chunk_always_fits(held: tuple[int, ...], planned: tuple[int, ...], frames: int) -> None:
    """Whatever is held and planned, there is a frame to spare and not too much padding."""
    size = fitting(held, frames, planned)
    assert frames < size <= max(rounded(frames), MOST_PADDING * frames)
