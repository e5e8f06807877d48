"""From one sample rate to another, by a windowed sinc."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_ZEROS = 82
"""Zero crossings of the sinc on either side: with this window the band from 0.913 of the lower
Nyquist frequency to 1 is where the filter falls, as with libsoxr's "high quality", which
librosa uses and with it the reference code."""

_MIDDLE = 0.9565
_KAISER_BETA = 11.3  # 110 dB


def resample(samples: Samples, rate: int, new_rate: int) -> Samples:
    """Samples at another rate.

    Args:
        samples: mono, shape ``[frames]``.
        rate: of the samples, in Hz.
        new_rate: in Hz.

    Returns:
        Shape ``[ceil(frames * new_rate / rate)]``; the first sample is of the same moment.
    """
    if rate == new_rate or len(samples) == 0:
        return samples.astype(np.float32)
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    filters = _filters(up, down)
    half = filters.shape[1] // 2
    resampled = np.empty(-(-len(samples) * up // down), np.float32)
    padded = np.pad(samples.astype(np.float32), (half - 1, half + down))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    for phase in range(min(up, len(resampled))):
        wanted = len(resampled[phase::up])
        resampled[phase::up] = windows[phase * down // up :: down][:wanted] @ filters[phase]
    return resampled


@functools.lru_cache(maxsize=8)
def _filters(up: int, down: int) -> Samples:
    """One filter for each position between two samples, shape ``[up, 2 * half]``."""
    scale = min(1.0, up / down)
    half = math.ceil(_ZEROS / scale)
    fraction = (np.arange(up) * down % up) / up
    distance = np.arange(1 - half, half + 1)[None] - fraction[:, None]
    band = _MIDDLE * scale
    inside = np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))
    window = np.i0(_KAISER_BETA * inside) / np.i0(_KAISER_BETA)
    filters = band * np.sinc(band * distance) * window
    # A constant stays what it is, whatever the position.
    scaled: Samples = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled
