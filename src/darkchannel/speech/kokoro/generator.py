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
_PIECE = 1024
"""Samples worked on at once where a product is larger than what is kept of it."""


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
        for name in blocks():
            alphas = weights[f"{name}.alphas"]
            end = begin + 2 * alphas.size
            self._blocks[name] = _Block(
                tuple(
                    Filter(taps, DILATIONS[i // 2] if i % 2 == 0 else 1)
                    for i, taps in enumerate(weights[f"{name}.taps"])
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
        for level in range(len(STRIDES)):
            joined, samples = self._joined(level, signal, source, styles)
            signal = self._mean_of_blocks(level, joined, samples, styles)
        return _spectrum(signal, weights["post.weight"]) + weights["post.bias"]

    def _joined(self, level: int, signal: Array, source: Array, styles: Array) -> tuple[Array, int]:
        """The source, filtered, plus the signal, upsampled; and the number of samples."""
        weights = self._weights
        samples = len(source) if level else len(source) // STRIDES[1]
        joined = self._buffers.take("joined", samples + ROOM, weights[f"bias.{level}"].size)
        joined[samples:] = 0
        if level:
            np.matmul(source, weights["noise.1"], out=joined[:samples])
        else:
            _stride(source, weights["noise.0"], STRIDES[1], out=joined[:samples])
        self._residual(f"noise_res.{level}", joined, samples, styles, moments(joined[:samples]))
        leaky = np.maximum(signal, np.float32(0.1) * signal)
        _upsample(leaky, weights[f"ups.{level}"], STRIDES[level], onto=joined[level:samples])
        if level:  # one sample more, mirrored, so that both ends of the source have theirs
            first = np.zeros((STRIDES[1], joined.shape[1]), np.float32)
            _upsample(leaky[:1], weights["ups.1"], STRIDES[1], onto=first)
            joined[0] += first[1]
        # All that is added to each sample alike is added once, here.
        joined[:samples] += weights[f"bias.{level}"]
        return joined, samples

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


def _upsample(signal: Array, weight: Array, stride: int, *, onto: Array) -> None:
    """Add a transposed convolution of twice as many taps as its stride.

    Half a stride at each end is cropped: it makes ``stride`` samples of one.

    Args:
        signal: shape ``[samples, inputs]``.
        weight: shape ``[2, inputs, stride * outputs]``: the first half of the taps, the second.
        stride: samples made of one.
        onto: added to; shape ``[stride * samples, outputs]``.
    """
    for start in range(0, len(signal), _PIECE):
        for half in (0, 1):
            made = signal[start : start + _PIECE] @ weight[half]
            made = made.reshape(-1, onto.shape[1])
            begin = (start + half) * stride - stride // 2
            kept = slice(max(0, -begin), min(len(made), len(onto) - begin))
            onto[begin + kept.start : begin + kept.stop] += made[kept]


def _stride(source: Array, weight: Array, stride: int, *, out: Array) -> None:
    """A convolution of two strides' width; ``weight`` has shape ``[2 * stride * 22, outputs]``."""
    padded = np.pad(source, ((stride // 2, stride // 2), (0, 0)))
    row = padded.strides[0]
    windows = np.lib.stride_tricks.as_strided(
        padded, (len(out), 2 * stride * source.shape[1]), (stride * row, 4), writeable=False
    )
    np.matmul(windows, weight, out=out)


def _spectrum(signal: Array, weight: Array) -> Array:
    """The last activation, and a same-padded convolution to the rows of the spectrum.

    Args:
        signal: shape ``[samples, channels]``.
        weight: shape ``[channels, taps * 22]``.
    """
    taps = weight.shape[1] // SPECTRUM_ROWS
    side = taps // 2
    result = np.zeros((len(signal) + 2 * side, SPECTRUM_ROWS), np.float32)
    for start in range(0, len(signal), _PIECE):
        piece = signal[start : start + _PIECE]
        leaky = np.maximum(piece, np.float32(0.01) * piece)
        products = (leaky @ weight).reshape(len(piece), taps, SPECTRUM_ROWS)
        for tap in range(taps):
            begin = start + 2 * side - tap
            result[begin : begin + len(piece)] += products[:, tap]
    return result[side : len(result) - side]
