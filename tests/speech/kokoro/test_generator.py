"""The generator computes what the float graph's does, on the real weights, by transforms.

By tiles: see :mod:`.test_openvino`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from darkchannel.engines import fetch_weights
from darkchannel.speech.kokoro import parts, preparation
from darkchannel.speech.kokoro.float32 import SpectralLayers
from darkchannel.speech.kokoro.generator import Generator
from tests.speech.kokoro import golden
from tests.speech.real_kokoro import settings

Array = npt.NDArray[np.float32]

GOLDEN = golden.load()
TIMBRE = GOLDEN["style"][:128]


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    """The prepared ones of the machine's own data directory, made where missing."""
    fetch_weights(settings(), "kokoro")
    return parts.generator_weights(preparation.folder(settings().data_dir))


def made(weights: dict[str, Array], *, threads: int = 1) -> Generator:
    return Generator(weights, SpectralLayers(weights, threads=threads))


def spectrum(generator: Generator, frames: Array, source: Array) -> Array:
    """As the runtime calls it: BLAS on one thread."""
    with threadpool_limits(1, "blas"):
        return generator(frames, source, TIMBRE)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_the_spectrum_is_that_of_the_float_graph(weights: dict[str, Array], threads: int) -> None:
    """Transforms instead of convolutions change a spectrum of up to 36 by 0.0002 at most."""
    generator = made(weights, threads=threads)
    ours = spectrum(generator, GOLDEN["float.frames"], GOLDEN["float.source"])
    assert ours.shape == GOLDEN["float.spectrum"].shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, GOLDEN["float.spectrum"], atol=1e-3)
    assert np.sqrt(np.square(ours - GOLDEN["float.spectrum"]).mean()) < 1e-4


@pytest.mark.slow
def test_a_chunk_leaves_nothing_behind(weights: dict[str, Array]) -> None:
    """A chunk's spectrum does not depend on those before it, longer or shorter, nor on threads."""
    frames, source = GOLDEN["float.frames"], GOLDEN["float.source"]
    generator = made(weights, threads=2)
    fresh = spectrum(generator, frames, source)
    spectrum(generator, -np.tile(frames, (3, 1)), np.tile(source, (3, 1))[: 3 * 960 + 1])
    spectrum(generator, frames[:4], source[: 2 * 120 + 1])
    np.testing.assert_array_equal(spectrum(generator, frames, source), fresh)
    np.testing.assert_array_equal(spectrum(made(weights), frames, source), fresh)


@pytest.mark.slow
def test_inputs_are_left_as_they_were(weights: dict[str, Array]) -> None:
    """The decoder's frames and the source are read, not worked on."""
    frames, source = GOLDEN["float.frames"].copy(), GOLDEN["float.source"].copy()
    spectrum(made(weights), frames, source)
    np.testing.assert_array_equal(frames, GOLDEN["float.frames"])
    np.testing.assert_array_equal(source, GOLDEN["float.source"])
