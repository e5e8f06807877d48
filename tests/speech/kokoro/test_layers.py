"""What computes a generator's layers computes them, whichever way: one suite for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from darkchannel.speech.kokoro.generator import (
    ROOM,
    SPECTRUM_ROWS,
    STRIDES,
    Activation,
    Generator,
    Layers,
    dilation,
    moments,
)
from darkchannel.speech.kokoro.runtime import usable
from tests.speech.kokoro import small_network

Array = npt.NDArray[np.float32]

WEIGHTS = small_network.weights()
GARBAGE = 1e20

needs_openvino = pytest.mark.skipif(
    "openvino" not in usable(), reason="there is no OpenVINO, or it would distort"
)


@pytest.fixture(
    scope="module",
    params=[
        "spectral",
        *(
            pytest.param(way, marks=[needs_openvino, pytest.mark.slow])
            for way in ("tiled", "tiled_floats")
        ),
    ],
)
def way(request: pytest.FixtureRequest) -> tuple[str, Layers]:
    """Each way, and its name."""
    make: Callable[[dict[str, Array]], Layers] = getattr(small_network, request.param)
    return request.param, make(WEIGHTS)


@pytest.fixture
def layers(way: tuple[str, Layers]) -> Layers:
    """Each way."""
    return way[1]


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_room(signal: Array) -> Array:
    """A signal, and in the memory behind it something that must not be heard."""
    return np.pad(signal, ((0, ROOM), (0, 0)), constant_values=GARBAGE)


def convolved(signal: npt.NDArray[np.float64], taps: Array, spread: int) -> npt.NDArray[np.float64]:
    """By the definition, silence around; ``taps`` is ``[taps, inputs, outputs]``."""
    side = len(taps) // 2 * spread
    padded = np.pad(signal, ((side, side), (0, 0)))
    made = np.zeros((len(signal), taps.shape[2]))
    for i, tap in enumerate(taps):
        made += padded[spread * i : spread * i + len(signal)] @ tap
    return made


@pytest.mark.parametrize("samples", [1, 2, 300, 1400])
@pytest.mark.parametrize(
    ("layer", "added"),
    [("noise_res.0.0", 0), ("resblocks.1.4", 0), ("resblocks.2.5", 2), ("resblocks.3.1", 1)],
)
def test_a_filter_sees_the_activated_signal_and_silence_around_it(
    way: tuple[str, Layers], layer: str, added: int, samples: int
) -> None:
    """As long as a chunk may be, with the sums of what is then there."""
    how, layers = way
    name, _, index = layer.rpartition(".")
    taps = WEIGHTS[f"{name}.taps"][int(index)]
    channels = taps.shape[1]
    signal = with_room(drawn(samples, channels))
    scale, shift = drawn(channels, seed=1) * np.float32(0.5), drawn(channels, seed=2)
    activation = Activation(scale, shift)
    plus = [with_room(drawn(samples, channels, seed=3 + i)) for i in range(added)]
    out = plus[-1] if plus else np.empty_like(signal)
    angle = signal[:samples].astype(np.float64) * activation.scale + activation.shift
    activated = angle + np.sin(angle) ** 2
    expected = convolved(activated, taps, dilation(int(index)))
    expected += sum((each[:samples] for each in plus), start=np.float64(0))
    before = signal.copy()
    with threadpool_limits(1, "blas"):
        sums = layers.convolve(layer, signal, samples, activation, out, plus=plus)
    off = out[:samples] - expected
    if how == "tiled":
        alphas, step = (WEIGHTS[f"{name}.{kind}"][int(index)] for kind in ("alphas", "steps"))
        weight = WEIGHTS[f"{name}.whole"][int(index)] * np.float64(step)
        require_eight_bits(off, np.abs(activated / alphas).max(), weight)
    else:
        assert np.abs(off).max() < 5e-4
    np.testing.assert_allclose(sums, moments(out[:samples]), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(signal, before)


def require_eight_bits(
    off: npt.NDArray[np.float64], peak: float, weight: npt.NDArray[np.floating]
) -> None:
    """A filter's result is as far off as it is if its signal is rounded to 8 bits.

    Args:
        off: the difference.
        peak: of the signal.
        weight: shape ``[outputs, inputs, taps]``.
    """
    unit = peak / 127
    assert np.abs(off).max() < np.abs(weight).sum(axis=(1, 2)).max() * unit / 2
    # A rounded number is off by the root of a twelfth of the unit, and these add by their squares.
    usual = np.sqrt(np.square(weight).sum(axis=(1, 2)).max() / 12) * unit
    assert np.sqrt(np.square(off).mean()) < 1.2 * usual


@pytest.mark.parametrize("samples", [1, 2, 33, 200])
@pytest.mark.parametrize("level", [0, 1])
def test_upsampling_adds_a_transposed_convolution(
    way: tuple[str, Layers], level: int, samples: int
) -> None:
    """Of two strides' taps, with half a stride cropped at each end."""
    how, layers = way
    weight, stride = WEIGHTS[f"ups.{level}"], STRIDES[level]
    signal = drawn(samples, weight.shape[1])
    onto = drawn(stride * samples, small_network.CHANNELS[level], seed=1)
    rectified = np.where(signal > 0, signal, 0.1 * signal).astype(np.float64)
    whole = np.zeros((stride * (samples + 1), onto.shape[1]))
    for i, row in enumerate(rectified):
        for half in (0, 1):
            begin = stride * (i + half)
            whole[begin : begin + stride] += (row @ weight[half]).reshape(stride, -1)
    expected = onto + whole[stride // 2 : len(whole) - stride // 2]
    with threadpool_limits(1, "blas"):
        sums = layers.upsample(level, signal, onto)
    off = onto - expected
    if how == "tiled":
        require_eight_bits(off, np.abs(rectified).max(), weight.transpose(2, 1, 0))
    else:
        assert np.abs(off).max() < 1e-4
    np.testing.assert_allclose(sums, moments(onto), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("samples", [1, 5, 700])
def test_the_last_layer_is_a_filter(layers: Layers, samples: int) -> None:
    """Of a leaky rectifier's result, to the rows of the spectrum."""
    signal = drawn(samples, small_network.CHANNELS[1])
    taps = WEIGHTS["post.weight"].reshape(len(signal.T), -1, SPECTRUM_ROWS).transpose(1, 0, 2)
    rectified = np.where(signal > 0, signal, 0.01 * signal).astype(np.float64)
    with threadpool_limits(1, "blas"):
        made = layers.spectrum(signal)
    np.testing.assert_allclose(made, convolved(rectified, taps, 1), atol=1e-4)


def test_a_chunk_leaves_nothing_behind(layers: Layers) -> None:
    """A spectrum does not depend on those before it, longer or shorter."""
    generator = Generator(WEIGHTS, layers)

    def spectrum(frames: int) -> Array:
        with threadpool_limits(1, "blas"):
            return generator(
                drawn(2 * frames, small_network.FRAMES, seed=frames),
                drawn(120 * frames + 1, SPECTRUM_ROWS, seed=frames),
                drawn(128),
            )

    first = spectrum(7)
    spectrum(23)
    spectrum(1)
    np.testing.assert_array_equal(spectrum(7), first)
