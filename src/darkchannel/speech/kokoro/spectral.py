"""Convolutions by the discrete Fourier transform: a third of the arithmetic, the same result.

Nearly all of Kokoro's arithmetic is in 48 convolutions of 128 or 256 channels, 3 to 11 taps
wide.  A signal is cut into windows of N samples that overlap by ``taps - 1``; in the spectrum of
a window a convolution is one product of matrices for each frequency, and the N - taps + 1 samples
that wrapped around nothing are its result (overlap-save; Oppenheim and Schafer, Discrete-Time
Signal Processing, 8.7.3).  So a convolution is three products of matrices, which BLAS does well:

    spectra = ANALYSIS @ windows        [P, N] @ [N, channels]           for each window
    results = spectra @ weights         [windows, inputs] @ [inputs, outputs]   for each of P
    samples = SYNTHESIS @ results       [N - taps + 1, P] @ [P, channels]       for each window

The spectrum of a real signal has N / 2 - 1 complex and two real frequencies, and a complex
product takes three real ones instead of four (Gauss): with signal ``a + bi`` and weight
``c + di`` they are ``ac``, ``bd`` and ``(a + b)(c + d)``.  That makes P = 2 + 3 (N / 2 - 1).
N = 32 needs 47 products for 22 results of 11 taps: 2.1 multiplications each instead of 11.

Signals have :data:`.generator.ROOM` rows behind them: see there.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from darkchannel.speech.kokoro.generator import Activation, Array, Buffers, Moments

_WINDOWS = 128
"""Worked on at once: their spectra stay in the caches, and a product is large enough for BLAS."""


class Transform(NamedTuple):
    """The constant matrices of one length of filter.

    Attributes:
        analysis: shape ``[P, N]``.
        synthesis: shape ``[N - taps + 1, P]``.
        weights: shape ``[P, taps]``: turns the taps of a filter into its factors.
    """

    analysis: Array
    synthesis: Array
    weights: Array

    @property
    def points(self) -> int:
        """N."""
        return int(self.analysis.shape[1])

    @property
    def stride(self) -> int:
        """Samples that a window results in."""
        return int(self.synthesis.shape[0])


@cache
def transform(taps: int) -> Transform:
    """The transform for a filter; its N is the fastest measured, of 12, 16, 24, 32 and 64."""
    points = 16 if taps <= 3 else 32
    n, k, half = np.arange(points), np.arange(taps), points // 2
    alternating = (-1.0) ** n
    analysis, weights = [np.ones(points), alternating], [np.ones(taps), alternating[:taps]]
    synthesis = [np.ones(points) / points, alternating / points]
    for turns in 2 * np.pi * np.arange(1, half) / points:
        a, b = np.cos(turns * n), -np.sin(turns * n)
        # Conjugated: what networks call a convolution is a cross-correlation.
        c, d = np.cos(turns * k), np.sin(turns * k)
        analysis += [a, b, a + b]
        weights += [c, d, c + d]
        # real = ac - bd and imaginary = (a + b)(c + d) - ac - bd, each with its own wave.
        real, imaginary = 2 * np.cos(turns * n) / points, -2 * np.sin(turns * n) / points
        synthesis += [real - imaginary, -real - imaginary, imaginary]
    return Transform(
        np.array(analysis, np.float32),
        np.ascontiguousarray(np.array(synthesis).T[: points - taps + 1], np.float32),
        np.array(weights, np.float32),
    )


def arranged(weight: Array, alpha: Array) -> Array:
    """The taps of a filter as :class:`Filter` holds them.

    Args:
        weight: shape ``[outputs, inputs, taps]``.
        alpha: of the activation before it, shape ``[inputs]``.

    Returns:
        Shape ``[taps, inputs, outputs]``.
    """
    scaled = weight.astype(np.float64) / alpha[None, :, None]
    return np.ascontiguousarray(scaled.transpose(2, 1, 0), np.float32)


@dataclass(frozen=True, slots=True)
class Filter:
    """One convolution: same-padded, stride 1, as many outputs as inputs, without bias.

    Attributes:
        taps: of :func:`arranged`, an odd number of them: ``[taps, channels, channels]``.
        dilation: a divisor of :data:`.generator.ROOM`.
    """

    taps: Array
    dilation: int

    def factors(self, scratch: Buffers) -> Array:
        """What a spectrum is multiplied by, shape ``[P, channels, channels]``.

        They are 4 to 8 times as large as the taps and take a hundredth of a convolution's time
        to make, so they are made for each.
        """
        count, inputs, outputs = self.taps.shape
        weights = transform(count).weights
        made = scratch.take("factors", len(weights), inputs, outputs)
        np.matmul(weights, self.taps.reshape(count, -1), out=made.reshape(len(weights), -1))
        return made


class Convolver:
    """Applies filters to signals, on one thread or several.

    BLAS has to be limited to one thread by the caller: these products are too small to share.

    Args:
        threads: that share one signal's windows between them.
    """

    def __init__(self, threads: int = 1) -> None:
        self._scratch = [Buffers() for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def __call__(
        self,
        what: Filter,
        signal: Array,
        samples: int,
        activation: Activation,
        out: Array,
        *,
        plus: Sequence[Array] = (),
    ) -> Moments:
        """``out = filter(activation(signal)) + plus``; see :meth:`.generator.Layers.convolve`."""
        factors = what.factors(self._scratch[0])
        part = _Part(what, factors, signal, samples, activation=activation, out=out, plus=plus)
        starts = range(0, part.rows, part.windows * part.transform.stride)
        if self._pool is None:
            return part.run(starts, self._scratch[0])
        count = len(self._scratch)
        others = [
            self._pool.submit(part.run, starts[i::count], self._scratch[i]) for i in range(1, count)
        ]
        total = part.run(starts[::count], self._scratch[0])
        for other in others:
            total += other.result()
        return total


class _Part:
    """One filter on one signal; any stretch of it may be worked on by itself."""

    def __init__(
        self,
        what: Filter,
        factors: Array,
        signal: Array,
        samples: int,
        *,
        activation: Activation,
        out: Array,
        plus: Sequence[Array],
    ) -> None:
        self.factors = factors
        self.dilation = what.dilation
        self.channels = signal.shape[1]
        self.width = self.channels * self.dilation
        self.rows = -(-samples // self.dilation)
        self.size = samples * self.channels
        self.signal = self._wide(signal)
        self.out = self._wide(out)
        self.plus = [self._wide(each) for each in plus]
        self.scale = np.tile(activation.scale, self.dilation)
        self.shift = np.tile(activation.shift, self.dilation)
        self.transform = transform(len(what.taps))
        self.windows = max(1, _WINDOWS // self.dilation)

    def _wide(self, signal: Array) -> Array:
        return signal.reshape(-1)[: self.rows * self.width].reshape(self.rows, self.width)

    def run(self, starts: Sequence[int], scratch: Buffers) -> Moments:
        """Work on the stretches that begin at these rows."""
        total = np.zeros((2, self.width))
        for start in starts:
            windows = min(self.windows, -(-(self.rows - start) // self.transform.stride))
            samples = self._convolved(self._activated(start, windows, scratch), windows, scratch)
            self._write(start, samples, total)
        by_channel: Moments = total.reshape(2, self.dilation, self.channels).sum(axis=1)
        return by_channel

    def _activated(self, start: int, windows: int, scratch: Buffers) -> Array:
        stride, points = self.transform.stride, self.transform.points
        count = windows * stride + points - stride
        first = start - (points - stride) // 2
        active = scratch.take("active", count, self.width)
        begin, end = max(0, -first), min(count, self.rows - first)
        active[:begin] = 0
        active[end:] = 0
        inside = active[begin:end]
        wave = scratch.take("wave", end - begin, self.width)
        np.multiply(self.signal[first + begin : first + end], self.scale, out=inside)
        inside += self.shift
        np.sin(inside, out=wave)
        np.multiply(wave, wave, out=wave)
        inside += wave
        if first + end == self.rows:  # the last row may be longer than the signal
            inside[-1, self.size - (self.rows - 1) * self.width :] = 0
        return active

    def _convolved(self, active: Array, windows: int, scratch: Buffers) -> Array:
        analysis, synthesis, _ = self.transform
        count, points = analysis.shape
        stride, dilation, channels = self.transform.stride, self.dilation, self.channels
        row = active.strides[0]
        cut = np.lib.stride_tricks.as_strided(
            active,
            (windows, dilation, points, channels),
            (stride * row, channels * 4, row, 4),
            writeable=False,
        )
        spectra = scratch.take("spectra", windows * dilation, count, channels)
        results = scratch.take("results", windows * dilation, count, channels)
        np.matmul(analysis, cut, out=spectra.reshape(windows, dilation, count, channels))
        np.matmul(spectra.transpose(1, 0, 2), self.factors, out=results.transpose(1, 0, 2))
        samples = scratch.take("samples", windows, stride, dilation, channels)
        np.matmul(
            synthesis,
            results.reshape(windows, dilation, count, channels),
            out=samples.transpose(0, 2, 1, 3),
        )
        return samples.reshape(windows * stride, self.width)

    def _write(self, start: int, samples: Array, total: Moments) -> None:
        target = self.out[start : start + len(samples)]
        samples = samples[: len(target)]
        for each in self.plus:
            samples += each[start : start + len(samples)]
        target[:] = samples
        if start + len(target) == self.rows:
            # What is past the end of the signal is no part of it.
            target[-1, self.size - (self.rows - 1) * self.width :] = 0
        total[0] += target.sum(axis=0)
        np.multiply(target, target, out=samples)
        total[1] += samples.sum(axis=0)
