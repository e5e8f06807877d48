"""What the generator is told of a chunk's end, and how signals are filled up to a size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.speech.kokoro.openvino_buckets import ends, filled, shapes
from darkchannel.speech.kokoro.openvino_graph import COLUMNS, HALO

SIZE = 8


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
