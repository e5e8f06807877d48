"""The generator: decoded frames and a harmonic source become a spectrum.

The same network as in the published graph (an iSTFTNet, Kaneko et al. 2022, with the Snake
activations and style-dependent normalisation of StyleTTS 2).  Two levels, of 20 and 120 samples a
frame, each one upsampling, the source joined in, and the mean of three residual blocks of 3, 7
and 11 taps.  What computes the layers, nearly all of the arithmetic, is the runtime's.

A *signal* is a float32 array ``[samples, channels]``, contiguous, with :data:`ROOM` more rows
behind its samples, so that rows can be taken 3 or 5 at a time: a filter of dilation d on C
channels is one without dilation on rows of d x C numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Moments = npt.NDArray[np.float64]
"""Sum and sum of squares of each channel, shape ``[2, channels]``."""

DILATIONS = (1, 3, 5)
BLOCK_TAPS = (3, 7, 11)
NOISE_TAPS = (7, 11)
STRIDES = (10, 6)
SPECTRUM_ROWS = 22
"""Log magnitude and phase of 11 frequencies."""

ROOM = 15
"""A common multiple of the dilations."""

_EPSILON = 1e-5
_BLOCK_FILTERS = 2 * len(DILATIONS)


def blocks() -> dict[str, int]:
    """Name in the published graph and taps of each residual block."""
    names = {f"noise_res.{level}": taps for level, taps in enumerate(NOISE_TAPS)}
    for level in (0, 1):
        names |= {f"resblocks.{3 * level + i}": taps for i, taps in enumerate(BLOCK_TAPS)}
    return names


def level_of(block: str) -> int:
    """Which of the two a block is in, by its name."""
    kind, number = block.split(".")
    return int(number) if kind == "noise_res" else int(number) // len(BLOCK_TAPS)


def dilation(index: int) -> int:
    """Of a block's filters: each dilated one is followed by an undilated."""
    return 1 if index % 2 else DILATIONS[index // 2]


class Activation(NamedTuple):
    """``w + sin(w)^2`` with ``w = x * scale + shift``, for each channel.

    The model's is ``snake(v) = v + sin(alpha v)^2 / alpha``; that is this one's with
    ``w = alpha v``, divided by alpha, which the filter behind it does.

    Attributes:
        scale: shape ``[channels]``.
        shift: shape ``[channels]``.
    """

    scale: Array
    shift: Array


class Layers(Protocol):
    """Where the arithmetic is; used by one thread at a time."""

    def convolve(
        self,
        layer: str,
        signal: Array,
        samples: int,
        activation: Activation,
        out: Array,
        *,
        plus: Sequence[Array] = (),
    ) -> Moments:
        """``out = filter(activation(signal)) + plus``, with silence around the activated signal.

        Args:
            layer: one of :func:`blocks`, a dot, and which of its six filters.
            signal: read; not ``out``.
            samples: of the signal.
            activation: goes before the filter.
            out: written; a signal.
            plus: signals that are added; ``out`` may be one.

        Returns:
            Of ``out``.
        """
        ...

    def upsample(self, level: int, signal: Array, onto: Array) -> Moments:
        """Add a signal upsampled, by a transposed convolution of twice as many taps as its stride.

        Args:
            level: which of the two.
            signal: shape ``[samples, inputs]``; a leaky rectifier (0.1) goes before the filter.
            onto: added to; shape ``[stride * samples, outputs]``: half a stride at each end of
                the convolution's result is cropped.

        Returns:
            Of what ``onto`` is then.
        """
        ...

    def spectrum(self, signal: Array) -> Array:
        """The last layer: a leaky rectifier (0.01) and a filter.

        Args:
            signal: shape ``[samples, channels]``.

        Returns:
            Shape ``[samples, 22]``.
        """
        ...


@dataclass
class Buffers:
    """Memory kept from one use to the next: asking the system anew costs a twentieth of all time.

    Attributes:
        buffers: by name; what one holds is whatever was last written there.
    """

    buffers: dict[str, Array] = field(default_factory=dict)

    def take(self, name: str, *shape: int) -> Array:
        """A buffer of that shape; the same memory at each call of that name."""
        size = int(np.prod(shape))
        held = self.buffers.get(name)
        if held is None or held.size < size:
            held = self.buffers[name] = np.empty(size, np.float32)
        return held[:size].reshape(shape)


class Generator:
    """The network with its weights; used by one thread at a time.

    Args:
        weights: by name, as preparation wrote them; may be memory-mapped.
        layers: compute with them.
    """

    def __init__(self, weights: Mapping[str, Array], layers: Layers) -> None:
        self._weights = weights
        self._layers = layers
        self._buffers = Buffers()
        self._styles: dict[str, slice] = {}
        begin = 0
        for name in blocks():
            end = begin + 2 * weights[f"{name}.alphas"].size
            self._styles[name] = slice(begin, end)
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
        styles = style @ self._weights["style.weight"] + self._weights["style.bias"]
        signal = frames
        for level in range(len(STRIDES)):
            joined, samples, sums = self._joined(level, signal, source, styles)
            signal = self._mean_of_blocks(level, joined, samples, styles, sums)
        return self._layers.spectrum(signal) + self._weights["post.bias"]

    def _joined(
        self, level: int, signal: Array, source: Array, styles: Array
    ) -> tuple[Array, int, Moments]:
        """The source, filtered, plus the signal, upsampled; and the number of samples."""
        weights = self._weights
        bias = weights[f"bias.{level}"]
        samples = len(source) if level else len(source) // STRIDES[1]
        joined = self._signal("joined", samples, bias.size)
        if level:
            np.matmul(source, weights["noise.1"], out=joined[:samples])
        else:
            _stride(source, weights["noise.0"], STRIDES[1], out=joined[:samples])
        name = f"noise_res.{level}"
        self._residual(name, joined, samples, styles, moments(joined[:samples]), out=joined)
        joined[:samples] += bias  # all that is added to each sample alike
        onto = joined[level:samples]
        before = onto[1].copy()
        sums = self._layers.upsample(level, signal, onto)
        if level:  # one sample more, mirrored, so that both ends of the source have theirs
            joined[0] += onto[1] - before
            sums += moments(joined[:1])
        return joined, samples, sums

    def _mean_of_blocks(
        self, level: int, signal: Array, samples: int, styles: Array, sums: Moments
    ) -> Array:
        names = [f"resblocks.{3 * level + i}" for i in range(len(BLOCK_TAPS))]
        total = self._signal("total", samples, signal.shape[1])
        for number, name in enumerate(names):
            plus = (total,) if number else ()
            self._residual(name, signal, samples, styles, sums, out=total, plus=plus)
        mean = total[:samples]
        mean += sum(self._weights[f"{name}.bias"] for name in names)
        mean /= len(names)
        return mean

    def _residual(
        self,
        name: str,
        signal: Array,
        samples: int,
        styles: Array,
        sums: Moments,
        *,
        out: Array,
        plus: Sequence[Array] = (),
    ) -> None:
        """``out = block(signal) + plus``, but for the block's bias.

        That is the sum of every second filter's bias; those of the others are lost in the
        normalisation behind them.
        """
        alphas = self._weights[f"{name}.alphas"]
        style = styles[self._styles[name]].reshape(_BLOCK_FILTERS, 2, -1)
        between = self._signal("between", samples, signal.shape[1])
        branch = self._signal("branch", samples, signal.shape[1])
        for i in range(0, _BLOCK_FILTERS, 2):
            last = i + 2 == _BLOCK_FILTERS
            first = _normalising(sums, samples, style[i], alphas[i])
            inner = self._layers.convolve(f"{name}.{i}", signal, samples, first, between)
            second = _normalising(inner, samples, style[i + 1], alphas[i + 1])
            target = out if last else branch
            added = (signal, *plus) if last else (signal,)
            sums = self._layers.convolve(
                f"{name}.{i + 1}", between, samples, second, target, plus=added
            )
            signal = branch

    def _signal(self, name: str, samples: int, channels: int) -> Array:
        """Memory for a signal; the rows behind it are zero."""
        made = self._buffers.take(name, samples + ROOM, channels)
        made[samples:] = 0
        return made


def moments(signal: Array) -> Moments:
    """Of a signal without its room."""
    total = np.zeros((2, signal.shape[1]))
    for start in range(0, len(signal), 1024):  # float32 within, float64 between
        part = signal[start : start + 1024]
        total[0] += part.sum(axis=0)
        total[1] += np.square(part).sum(axis=0)
    return total


def _normalising(sums: Moments, samples: int, style: Array, alpha: Array) -> Activation:
    """Instance normalisation, the style's gain and shift, and the activation's angle, in one."""
    mean = sums[0] / samples
    variance = np.maximum(sums[1] / samples - mean * mean, 0)
    gain = alpha * style[0] / np.sqrt(variance + _EPSILON)
    shift = alpha * style[1] - mean * gain
    return Activation(gain.astype(np.float32), shift.astype(np.float32))


def _stride(source: Array, weight: Array, stride: int, *, out: Array) -> None:
    """A convolution of two strides' width; ``weight`` has shape ``[2 * stride * 22, outputs]``."""
    padded = np.pad(source, ((stride // 2, stride // 2), (0, 0)))
    row = padded.strides[0]
    windows = np.lib.stride_tricks.as_strided(
        padded, (len(out), 2 * stride * source.shape[1]), (stride * row, 4), writeable=False
    )
    np.matmul(windows, weight, out=out)
