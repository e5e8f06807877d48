"""Convolutions by transforms are convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.speech.kokoro.generator import ROOM, Activation, Buffers, Moments, moments
from darkchannel.speech.kokoro.spectral import Convolver, Filter, arranged, transform

Array = npt.NDArray[np.float32]

ALONE, TOGETHER = Convolver(1), Convolver(2)
GARBAGE, UNTOUCHED = 1e20, -7.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A normalisation, an activation and a convolution, as the model has them.

    Attributes:
        weight: shape ``[channels, channels, taps]``.
        dilation: of the convolution.
        alpha, gain, offset: of each channel: ``v = x * gain + offset`` goes into
            ``v + sin(alpha v)^2 / alpha``.
    """

    weight: Array
    dilation: int
    alpha: Array
    gain: Array
    offset: Array

    @property
    def filter(self) -> Filter:
        """The convolution, ready to be multiplied by."""
        return Filter(arranged(self.weight, self.alpha), self.dilation)

    @property
    def activation(self) -> Activation:
        """The activation, in the angle that it is computed in."""
        return Activation(self.alpha * self.gain, self.alpha * self.offset)

    def activated(self, signal: Array) -> Moments:
        """What the convolution gets, in float64."""
        alpha, gain, offset = (
            value.astype(np.float64) for value in (self.alpha, self.gain, self.offset)
        )
        value = signal * gain + offset
        active: Moments = value + np.sin(alpha * value) ** 2 / alpha
        return active

    def directly(self, signal: Array) -> Moments:
        """The convolution as it is defined, in float64."""
        taps = self.weight.shape[2]
        side = taps // 2 * self.dilation
        padded = np.pad(self.activated(signal), ((side, side), (0, 0)))
        result = np.zeros(signal.shape)
        for tap in range(taps):
            begin = tap * self.dilation
            result += padded[begin : begin + len(signal)] @ self.weight[:, :, tap].T.astype(float)
        return result

    def tolerance(self, signal: Array) -> float:
        """A millionth of the largest result that values so large could have."""
        largest = np.abs(self.activated(signal)).max()
        return float(1e-6 * largest * np.abs(self.weight).sum(axis=(1, 2)).max())


def draw_layer(draw: np.random.Generator, channels: int, taps: int, dilation: int) -> Layer:
    """Weights at random, with alphas as far apart as the model's."""
    return Layer(
        draw.normal(0, 0.2, (channels, channels, taps)).astype(np.float32),
        dilation,
        np.exp(draw.uniform(np.log(1e-4), np.log(20), channels)).astype(np.float32),
        draw.uniform(0.2, 2, channels).astype(np.float32),
        draw.normal(0, 0.5, channels).astype(np.float32),
    )


def with_room(values: npt.NDArray[np.float64], behind: float) -> Array:
    """A signal, with something in the memory behind it."""
    return np.pad(values, ((0, ROOM), (0, 0)), constant_values=behind).astype(np.float32)


layers = st.builds(
    lambda seed, *shape: draw_layer(np.random.default_rng(seed), *shape),
    st.integers(0, 1000),
    st.sampled_from([4, 8]),
    st.sampled_from([3, 7, 11]),
    st.sampled_from([1, 3, 5]),
)
lengths = st.one_of(st.integers(1, 60), st.integers(1, 4000))


@settings(max_examples=60, deadline=None)
@given(layers, lengths, st.integers(0, 2))
def test_it_is_the_convolution_of_the_activated_signal(
    layer: Layer, samples: int, plus: int
) -> None:
    """To a millionth, with the sums of what is then there, whatever memory held before."""
    draw = np.random.default_rng(samples)
    channels = len(layer.alpha)
    signal = with_room(draw.normal(size=(samples, channels)), GARBAGE)
    written = -(-samples // layer.dilation) * layer.dilation
    before = with_room(draw.normal(size=(samples, channels)), UNTOUCHED)
    before[samples:written] = 0
    out = before.copy()
    other = with_room(draw.normal(size=(samples, channels)), 0)
    added = (out, other)[:plus]  # what is written may be one of them
    sums = ALONE(layer.filter, signal, samples, layer.activation, out, plus=added)

    expected = layer.directly(signal[:samples])
    for each in (before, other)[:plus]:
        expected = expected + each[:samples]
    tolerance = layer.tolerance(signal[:samples]) + 1e-6 * plus
    assert np.abs(out[:samples] - expected).max() <= tolerance
    assert np.all(out[samples:written] == 0)
    assert np.all(out[written:] == UNTOUCHED)
    exact = out[:samples].astype(np.float64)
    np.testing.assert_allclose(sums[0], exact.sum(axis=0), atol=1e-6 * np.abs(exact).sum())
    np.testing.assert_allclose(sums[1], np.square(exact).sum(axis=0), rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(layers, st.integers(1, 9000))
def test_two_threads_compute_the_same(layer: Layer, samples: int) -> None:
    """Bit for bit, but for the order in which sums are added up."""
    draw = np.random.default_rng(samples)
    signal = with_room(draw.normal(size=(samples, len(layer.alpha))), GARBAGE)
    alone, together = np.zeros_like(signal), np.zeros_like(signal)
    call = (layer.filter, signal, samples, layer.activation)
    sums = (
        ALONE(*call, alone, plus=(signal,)),
        TOGETHER(*call, together, plus=(signal,)),
    )
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_allclose(*sums, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 30.0])
@pytest.mark.parametrize("taps", [3, 7, 11])
def test_any_alpha_keeps_its_precision(alpha: float, taps: int) -> None:
    """Division by a tiny one takes nothing away: the sine is added at its own scale."""
    draw = np.random.default_rng(taps)
    drawn = draw_layer(draw, 8, taps, 1)
    alphas = np.full(8, alpha, np.float32)
    layer = Layer(drawn.weight, 1, alphas, drawn.gain, drawn.offset)
    signal = with_room(draw.normal(size=(500, 8)), 0)
    out = np.empty_like(signal)
    ALONE(layer.filter, signal, 500, layer.activation, out)
    expected = layer.directly(signal[:500])
    error = np.sqrt(np.square(out[:500] - expected).mean())
    assert error < 1e-6 * np.sqrt(np.square(expected).mean())


def test_the_signal_is_left_as_it_was() -> None:
    """It is read, room and all, not worked on."""
    draw = np.random.default_rng(8)
    layer = draw_layer(draw, 4, 7, 5)
    signal = with_room(draw.normal(size=(333, 4)), GARBAGE)
    before = signal.copy()
    ALONE(layer.filter, signal, 333, layer.activation, np.zeros_like(signal))
    np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize(
    ("taps", "points", "products", "results"), [(3, 16, 23, 14), (7, 32, 47, 26), (11, 32, 47, 22)]
)
def test_products_of_a_window(taps: int, points: int, products: int, results: int) -> None:
    """A window of 32 takes 47 products, and 11 taps then need 2.1 for each of 22 results."""
    transformed = transform(taps)
    assert transformed.points == points
    assert transformed.stride == results
    assert transformed.analysis.shape == (products, points)
    assert transformed.synthesis.shape == (results, products)
    assert transformed.weights.shape == (products, taps)


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_moments_are_sums_and_sums_of_squares(samples: int) -> None:
    """Of each channel, in float64 where float32 would lose them."""
    signal = np.random.default_rng(samples).normal(3, 1, (samples, 4)).astype(np.float32)
    exact = signal.astype(np.float64)
    expected = [exact.sum(axis=0), np.square(exact).sum(axis=0)]
    np.testing.assert_allclose(moments(signal), expected, rtol=1e-5)


def test_a_buffer_is_kept() -> None:
    """What fits is the same memory again; what does not is new, and kept from then on."""
    buffers = Buffers()
    first = buffers.take("one", 4, 5)
    assert np.shares_memory(first, buffers.take("one", 3, 2))
    assert not np.shares_memory(first, buffers.take("two", 4, 5))
    larger = buffers.take("one", 6, 5)
    assert larger.shape == (6, 5)
    assert np.shares_memory(larger, buffers.take("one", 4, 5))
