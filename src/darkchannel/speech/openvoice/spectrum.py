"""The spectrogram the networks were trained on: linear magnitudes, no mel scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_FLOOR = 1e-6
"""Added to the power before its root, by the reference code."""


def spectrogram(samples: Array, window: int, hop: int) -> Array:
    """Magnitudes of the short-time Fourier transform.

    A periodic Hann window; both ends are reflected by ``(window - hop) / 2``, so that there is
    one frame for each whole hop.

    Args:
        samples: mono, shape ``[frames * hop]``; what does not fill a hop is left out.
        window: points of the transform.
        hop: samples between two windows.

    Returns:
        Shape ``[window / 2 + 1, frames]``.

    Raises:
        ValueError: there are not enough samples to reflect.
    """
    edge = (window - hop) // 2
    if len(samples) <= edge:
        raise ValueError(f"expected more than {edge} samples, found {len(samples)}")
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    padded = np.pad(samples.astype(np.float32), edge, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    spectrum = np.fft.rfft(windows * hann, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.ascontiguousarray(np.sqrt(power + _FLOOR, dtype=np.float32).T)
