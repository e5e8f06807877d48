"""The ``float32`` runtime: the decoder on onnxruntime, the generator by Fourier transforms.

Nearly all the arithmetic is in the generator, a third of which :mod:`.spectral` leaves to be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from darkchannel.speech.kokoro.generator import (
    SPECTRUM_ROWS,
    STRIDES,
    Activation,
    Array,
    Generator,
    Moments,
    blocks,
    dilation,
    moments,
)
from darkchannel.speech.kokoro.parts import generator_weights
from darkchannel.speech.kokoro.prepared import TIMBRE, PreparedRuntime, compute
from darkchannel.speech.kokoro.spectral import Convolver, Filter
from darkchannel.speech.onnx_session import session

_PIECE = 1024
"""Samples worked on at once where a product is larger than what is kept of it."""


class Float32Runtime(PreparedRuntime):
    """Float weights on any CPU with numpy's BLAS."""

    def __init__(self, prepared: Path, *, threads: int) -> None:
        """Load the parts; see :class:`PreparedRuntime`."""
        super().__init__(prepared, threads=threads, shared=True)
        self._decoder = session(prepared / "decoder.onnx", threads=threads, shared=True)
        weights = generator_weights(prepared)
        self._generator = Generator(weights, SpectralLayers(weights, threads=threads))

    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """See :meth:`PreparedRuntime.spectrum`."""
        decoded = compute(self._decoder, letters, pitch, loudness, style[None])[0]
        return self._generator(np.ascontiguousarray(decoded[0].T), source, style[:TIMBRE])


class SpectralLayers:
    """See :class:`.generator.Layers`; BLAS has to be limited to one thread by the caller.

    Args:
        weights: by name, as preparation wrote them; may be memory-mapped.
        threads: that share the work.
    """

    def __init__(self, weights: Mapping[str, Array], *, threads: int = 1) -> None:
        self._weights = weights
        self._convolver = Convolver(threads)
        self._filters = {
            f"{name}.{i}": Filter(taps, dilation(i))
            for name in blocks()
            for i, taps in enumerate(weights[f"{name}.taps"])
        }

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
        """See :meth:`.generator.Layers.convolve`."""
        return self._convolver(self._filters[layer], signal, samples, activation, out, plus=plus)

    def upsample(self, level: int, signal: Array, onto: Array) -> Moments:
        """See :meth:`.generator.Layers.upsample`."""
        weight, stride = self._weights[f"ups.{level}"], STRIDES[level]
        for start in range(0, len(signal), _PIECE):
            piece = _leaky(signal[start : start + _PIECE], 0.1)
            for half in (0, 1):
                made = (piece @ weight[half]).reshape(-1, onto.shape[1])
                begin = (start + half) * stride - stride // 2
                kept = slice(max(0, -begin), min(len(made), len(onto) - begin))
                onto[begin + kept.start : begin + kept.stop] += made[kept]
        return moments(onto)

    def spectrum(self, signal: Array) -> Array:
        """See :meth:`.generator.Layers.spectrum`."""
        weight = self._weights["post.weight"]
        taps = weight.shape[1] // SPECTRUM_ROWS
        side = taps // 2
        result = np.zeros((len(signal) + 2 * side, SPECTRUM_ROWS), np.float32)
        for start in range(0, len(signal), _PIECE):
            piece = _leaky(signal[start : start + _PIECE], 0.01)
            products = (piece @ weight).reshape(len(piece), taps, SPECTRUM_ROWS)
            for tap in range(taps):
                begin = start + 2 * side - tap
                result[begin : begin + len(piece)] += products[:, tap]
        return result[side : len(result) - side]


def _leaky(signal: Array, slope: float) -> Array:
    rectified: Array = np.maximum(signal, np.float32(slope) * signal)
    return rectified
