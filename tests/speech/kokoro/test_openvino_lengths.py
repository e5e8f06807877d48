"""Where tiles end changes nothing that a chunk says, at every length there is.

On a small network, since the real one would take hours.  That the real one agrees, at some of the
lengths, is a test of :mod:`.test_openvino`.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from darkchannel.speech.kokoro import openvino_tiles
from darkchannel.speech.kokoro.generator import SPECTRUM_ROWS, Generator
from tests.speech.kokoro import small_network

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

Array = npt.NDArray[np.float32]

FRAMES_A_TOKEN = 2.1
"""At a usual pace."""

MOST_DB = -85
"""Of the difference to what is computed whole."""


@cache
def generators() -> tuple[Generator, Generator]:
    """By tiles, and by transforms."""
    weights = small_network.weights()
    tiled = small_network.tiled_floats(weights, openvino_tiles.TILE // 16)
    return Generator(weights, tiled), Generator(weights, small_network.spectral(weights))


def require_the_same(frames: int) -> None:
    """A made-up chunk of so many frames comes out the same."""
    draw = np.random.default_rng(frames)
    decoded = draw.standard_normal((2 * frames, small_network.FRAMES), np.float32)
    source = draw.standard_normal((120 * frames + 1, SPECTRUM_ROWS), np.float32)
    style = draw.normal(0, 0.1, 128).astype(np.float32)
    with threadpool_limits(1, "blas"):
        ours, theirs = (each(decoded, source, style) for each in generators())
    assert ours.shape == theirs.shape == (120 * frames + 1, SPECTRUM_ROWS)
    assert small_network.difference(ours, theirs) < MOST_DB, frames
    ends = (slice(120), slice(-120, None))
    assert all(small_network.difference(ours[end], theirs[end]) < MOST_DB for end in ends), frames


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 2, 17, 128, 415])
def test_some_lengths(frames: int) -> None:
    """The shortest chunk, and some that do and do not fill their tiles."""
    require_the_same(frames)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_every_length() -> None:
    """Chunks of 1 to 510 tokens at the usual pace, and of any few frames."""
    usual = {round(tokens * FRAMES_A_TOKEN) for tokens in range(1, 511)}
    for frames in sorted(usual | set(range(1, 129))):
        require_the_same(frames)
