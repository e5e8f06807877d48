"""Which compiled size a chunk takes, what it is told of the chunk's end, and how it is filled."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro.openvino_buckets import Buckets, ends, filled, shapes
from darkchannel.speech.kokoro.openvino_graph import COLUMNS, HALO

SIZE = 8


class Generator:
    """Stands for a compiled graph: real ones take seconds, and none waits when it is told to."""

    def __init__(self) -> None:
        self.released = 0

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def may_compile() -> threading.Event:
    """What small sizes wait for while they are compiled."""
    return threading.Event()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, may_compile: threading.Event) -> Buckets:
    """Of two lanes, for a book whose chunks have 100 and 310 frames."""
    monkeypatch.setattr(openvino_session, "core", lambda: None)
    made = Buckets(Path("unused"), precision="bf16", threads=1, lanes=2)
    made.plan([100, 310] * 50)

    def compiled(_name: str, size: int | None = None) -> Generator:
        if size is not None and size < 200:
            assert may_compile.wait(20)
        return Generator()

    monkeypatch.setattr(made, "_compiled", compiled)
    return made


def test_a_chunk_goes_on_in_a_larger_bucket_while_its_own_is_compiled(
    place: Buckets, may_compile: threading.Event
) -> None:
    """Nobody waits where there is something to compute with."""
    with place.using(310) as large:
        pass
    with place.using(100) as meanwhile:
        assert meanwhile is large
    may_compile.set()
    place._held[128].result(timeout=20)
    with place.using(100) as own:
        assert own is not large


def test_only_what_is_used_and_what_was_last_used_holds_signals(
    place: Buckets, may_compile: threading.Event
) -> None:
    """A bucket is never told to let go while a lane computes in it."""
    may_compile.set()
    with ExitStack() as one, ExitStack() as other:
        large = one.enter_context(place.using(310))._generator
        place.expect(100)
        place._held[128].result(timeout=20)
        small = other.enter_context(place.using(100))._generator
        assert isinstance(large, Generator)
        assert isinstance(small, Generator)
        assert (large.released, small.released) == (0, 0)
        one.close()
        assert (large.released, small.released) == (1, 0)
        other.close()
        assert (large.released, small.released) == (1, 0)


@given(st.integers(1, SIZE - 1), st.sampled_from([0, 1]))
def test_sums_over_the_fewer_columns_give_the_statistics_before_the_end(
    frames: int, level: int
) -> None:
    """As the graph computes them: of what has mean 0 and mean square 1 over all columns."""
    told = ends(frames, SIZE)
    per_frame, more = COLUMNS[level]
    width, end = per_frame * SIZE + more, per_frame * frames + more
    columns = np.random.default_rng(frames).standard_normal(width) + np.linspace(-1, 1, width)
    columns = (columns - columns.mean()) / columns.std()
    begin, stop = told[f"summed.{level}"]
    assert stop - begin <= width / 2
    weight, rest = (float(told[f"{name}.{level}"][0, 0]) for name in ("weight", "rest"))
    mean = columns[begin:stop].sum() * weight
    square = np.square(columns[begin:stop]).sum() * weight + rest
    assert mean == pytest.approx(columns[:end].mean(), abs=1e-6)
    assert square == pytest.approx(np.square(columns[:end]).mean(), abs=1e-5)


@given(st.integers(1, SIZE - 1))
def test_only_the_first_columns_behind_the_end_are_silenced(frames: int) -> None:
    """As many as a convolution can reach; what is told has the shapes the graph takes."""
    told = ends(frames, SIZE)
    for level, (per_frame, more) in enumerate(COLUMNS):
        mask, end = told[f"mask.{level}"], per_frame * frames + more
        assert list(mask.shape) == shapes(SIZE)[f"mask.{level}"]
        assert mask[..., :end].all()
        assert not mask[..., end : end + HALO].any()
        assert mask[..., end + HALO :].all()


def test_a_signal_is_filled_with_silence_and_then_its_mirror_image() -> None:
    """Again and again, if it is much shorter than what it fills."""
    signal = np.arange(1, 51, dtype=np.float32)[None]
    whole = filled(signal, 170)[0]
    assert np.array_equal(whole[:50], signal[0])
    assert not whole[50 : 50 + HALO].any()
    assert np.array_equal(whole[82:100], signal[0, 17::-1])
    assert np.array_equal(whole[100:150], signal[0])
