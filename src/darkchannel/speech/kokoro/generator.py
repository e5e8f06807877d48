"""The generator: decoded frames and a harmonic source become a spectrum, in float32.

The same network as in the published graph (an iSTFTNet, Kaneko et al. 2022, with the Snake
activations and style-dependent normalisation of StyleTTS 2), with its convolutions done by
:mod:`.spectral`.  Two levels, of 20 and 120 samples a frame, each one upsampling, the source
joined in, and the mean of three residual blocks of 3, 7 and 11 taps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.spectral import (
    ROOM,
    Activation,
    Buffers,
    Convolver,
    Filter,
    Moments,
    moments,
)

Array = npt.NDArray[np.float32]

DILATIONS = (1, 3, 5)
BLOCK_TAPS = (3, 7, 11)
NOISE_TAPS = (7, 11)
STRIDES = (10, 6)
SPECTRUM_ROWS = 22
"""Log magnitude and phase of 11 frequencies."""

_EPSILON = 1e-5
_PIECE = 4096


def blocks() -> dict[str, int]:
    """Name in the published graph and taps of each residual block."""
    names = {f"noise_res.{level}": taps for level, taps in enumerate(NOISE_TAPS)}
    for level in (0, 1):
        names |= {f"resblocks.{3 * level + i}": taps for i, taps in enumerate(BLOCK_TAPS)}
    return names


@dataclass(frozen=True, slots=True)
class _Block:
    """One residual block.

    Attributes:
        filters: six, each dilated one followed by an undilated.
        alphas: of the activations before them, shape ``[6, channels]``.
        bias: to be added to the block's result: the sum of every second filter's.  Those of the
            others are lost in the normalisation behind them.
        style: which of the style layer's outputs are this block's gains and shifts,
            ``[6, 2, channels]`` when reshaped.
    """

    filters: tuple[Filter, ...]
    alphas: Array
    bias: Array
    style: slice


class Generator:
    """The network with its weights; used by one thread at a time.

    Args:
        weights: by name, as preparation wrote them; may be memory-mapped.
        threads: that share the work.
    """

    def __init__(self, weights: Mapping[str, Array], *, threads: int = 1) -> None:
        self._weights = weights
        self._convolve = Convolver(threads)
        self._buffers = Buffers()
        self._blocks = {}
        begin = 0
        for name, taps in blocks().items():
            alphas = weights[f"{name}.alphas"]
            end = begin + 2 * alphas.size
            self._blocks[name] = _Block(
                tuple(
                    Filter(filter_factors, taps, DILATIONS[i // 2] if i % 2 == 0 else 1)
                    for i, filter_factors in enumerate(weights[f"{name}.factors"])
                ),
                alphas,
                weights[f"{name}.bias"],
                slice(begin, end),
            )
            begin = end

    def __call__(self, frames: Array, source: Array, style: Array) -> Array:
        """The spectrum of a chunk.

        Args:
            frames: of the decoder, shape ``[2 F, 512]``: 80 a second.
            source: of :func:`.source.harmonics`, shape ``[120 F + 1, 22]``.
            style: the voice's timbre, shape ``[128]``.

        Returns:
            Shape ``[120 F + 1, 22]``: log magnitudes, then phases before their sine.
        """
        weights = self._weights
        styles = style @ weights["style.weight"] + weights["style.bias"]
        signal = frames
        for level, stride in enumerate(STRIDES):
            leaky = np.maximum(signal, np.float32(0.1) * signal)
            signal = _upsampled(leaky, weights[f"ups.{level}"], stride)
            if level:  # one sample more, mirrored, so that both ends of the source have theirs
                signal = np.concatenate([signal[1:2], signal])
            joined = _with_room(
                source @ weights["noise.1"]
                if level
                else _strided(source, weights["noise.0"], STRIDES[1])
            )
            samples = len(joined) - ROOM
            self._residual(f"noise_res.{level}", joined, samples, styles, moments(joined[:samples]))
            # All that is added to each sample alike is added once, here.
            joined[:samples] += signal
            joined[:samples] += weights[f"bias.{level}"]
            signal = self._mean_of_blocks(level, joined, samples, styles)
        np.maximum(signal, np.float32(0.01) * signal, out=signal)
        return _same(signal, weights["post.weight"]) + weights["post.bias"]

    def _mean_of_blocks(self, level: int, signal: Array, samples: int, styles: Array) -> Array:
        sums = moments(signal[:samples])
        names = [f"resblocks.{3 * level + i}" for i in range(len(BLOCK_TAPS))]
        total = np.zeros((samples, signal.shape[1]), np.float32)
        total += sum(self._blocks[name].bias for name in names)
        for name in names:
            branch = self._buffers.take("branch", *signal.shape)
            branch[:] = signal
            self._residual(name, branch, samples, styles, sums)
            total += branch[:samples]
        total /= len(names)
        return total

    def _residual(
        self, name: str, signal: Array, samples: int, styles: Array, sums: Moments
    ) -> None:
        """Run a signal through a block, in place, but for the block's bias."""
        block = self._blocks[name]
        between = self._buffers.take("between", *signal.shape)
        between[samples:] = 0
        style = styles[block.style].reshape(6, 2, -1)
        for i in range(0, 6, 2):
            first = _normalising(sums, samples, style[i], block.alphas[i])
            inner = self._convolve(block.filters[i], signal, samples, first, between)
            second = _normalising(inner, samples, style[i + 1], block.alphas[i + 1])
            sums = self._convolve(block.filters[i + 1], between, samples, second, signal, add=True)


def _normalising(sums: Moments, samples: int, style: Array, alpha: Array) -> Activation:
    """Instance normalisation, the style's gain and shift, and the activation's angle, in one."""
    mean = sums[0] / samples
    variance = np.maximum(sums[1] / samples - mean * mean, 0)
    gain = alpha * style[0] / np.sqrt(variance + _EPSILON)
    shift = alpha * style[1] - mean * gain
    return Activation(gain.astype(np.float32), shift.astype(np.float32))


def _with_room(signal: Array) -> Array:
    return np.concatenate([signal, np.zeros((ROOM, signal.shape[1]), np.float32)])


def _upsampled(signal: Array, weight: Array, stride: int) -> Array:
    """A transposed convolution of twice as many taps as its stride, cropped to stride x samples.

    Args:
        signal: shape ``[samples, inputs]``.
        weight: shape ``[2, inputs, stride * outputs]``: the first half of the taps, the second.
        stride: samples made of one.
    """
    outputs = weight.shape[2] // stride
    whole = np.zeros(((len(signal) + 1) * stride, outputs), np.float32)
    cells = whole.reshape(len(signal) + 1, -1)
    for start in range(0, len(signal), _PIECE):
        piece = signal[start : start + _PIECE]
        cells[start : start + len(piece)] += piece @ weight[0]
        cells[start + 1 : start + 1 + len(piece)] += piece @ weight[1]
    return whole[stride // 2 : -(stride // 2)]


def _strided(source: Array, weight: Array, stride: int) -> Array:
    """A convolution of two strides' width; ``weight`` has shape ``[2 * stride * 22, outputs]``."""
    padded = np.pad(source, ((stride // 2, stride // 2), (0, 0)))
    count = (len(padded) - 2 * stride) // stride + 1
    row = padded.strides[0]
    windows = np.lib.stride_tricks.as_strided(
        padded, (count, 2 * stride * source.shape[1]), (stride * row, 4), writeable=False
    )
    result: Array = windows @ weight
    return result


def _same(signal: Array, weight: Array) -> Array:
    """A same-padded convolution to few channels; ``weight``: ``[channels, taps * outputs]``."""
    taps = weight.shape[1] // SPECTRUM_ROWS
    side = taps // 2
    products = np.zeros((len(signal) + 2 * side, taps, SPECTRUM_ROWS), np.float32)
    np.matmul(signal, weight, out=products.reshape(len(products), -1)[side:-side])
    result = np.zeros((len(signal), SPECTRUM_ROWS), np.float32)
    for tap in range(taps):
        result += products[tap : tap + len(signal), tap]
    return result
