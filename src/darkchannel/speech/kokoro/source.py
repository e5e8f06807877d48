"""The two ends of the generator: a harmonic source from the pitch, and sound from a spectrum.

Both work on a short-time Fourier transform of 20 points every 5 samples (iSTFTNet, Kaneko et al.
2022); the source is that of the neural source filter (Wang et al. 2019) without its noise, which
the published graph leaves out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
PITCH_HOP = 300
"""Samples between two values of the pitch: 80 a second."""

POINTS, HOP = 20, 5
FREQUENCIES = POINTS // 2 + 1

_VOICED_HZ = 10.0
_AMPLITUDE = 0.1


def harmonics(pitch: Array, mixing: Array, bias: float, window: Array) -> Array:
    """The source: harmonics of the pitch, mixed to one wave, as magnitudes and phases.

    Args:
        pitch: fundamental frequency in Hz, shape ``[2 F]``; 10 Hz or less is unvoiced.
        mixing: weight of each harmonic, the fundamental first.
        bias: added to their sum.
        window: of the transform, shape ``[20]``.

    Returns:
        Shape ``[120 F + 1, 22]``: 11 magnitudes, then 11 phases in radians.
    """
    wave = np.tanh(_mixed(pitch, mixing) + bias).astype(np.float32)
    padded = np.pad(wave, POINTS // 2, mode="reflect")
    cut = np.lib.stride_tricks.sliding_window_view(padded, POINTS)[::HOP]
    angles = 2 * np.pi / POINTS * np.outer(np.arange(POINTS), np.arange(FREQUENCIES))
    real = cut @ (np.cos(angles) * window[:, None]).astype(np.float32)
    imaginary = cut @ (-np.sin(angles) * window[:, None]).astype(np.float32)
    imaginary[:, [0, -1]] = 0
    phase = np.arctan2(imaginary, real)
    # A phase of pi or -pi is the same angle, but a filter reads the number: these are the signs
    # that the published graph gives in nearly all windows (first) and in most (last).
    phase[:, 0] = np.where(real[:, 0] < 0, np.pi, 0)
    phase[:, -1] = np.where(real[:, -1] < 0, -np.pi, 0)
    return np.concatenate([np.hypot(real, imaginary), phase], axis=1, dtype=np.float32)


def _mixed(pitch: Array, mixing: Array) -> npt.NDArray[np.float64]:
    """Weighted sum of the harmonics, in float64: a phase counts the cycles of a whole chunk."""
    frequency = pitch.astype(np.float64)
    cycles = np.cumsum(frequency / SAMPLE_RATE) * PITCH_HOP
    count = len(pitch) * PITCH_HOP
    # The graph interpolates the phase between the middles of the frames.
    at = (np.arange(count) + 0.5) / PITCH_HOP - 0.5
    phase = np.interp(at, np.arange(len(pitch)), cycles)
    angle = 2 * np.pi * (phase - np.floor(phase))
    # sin(h x) = 2 cos(x) sin((h - 1) x) - sin((h - 2) x)
    twice_cosine, before, wave = 2 * np.cos(angle), np.zeros(count), np.sin(angle)
    total = np.zeros(count)
    for weight in mixing.astype(np.float64):
        total += weight * wave
        before, wave = wave, twice_cosine * wave - before
    voiced = np.repeat(frequency > _VOICED_HZ, PITCH_HOP)
    return np.where(voiced, _AMPLITUDE * total, 0.0)


def sound(spectrum: Array, inverse: Array, window_sum: Array) -> Array:
    """The inverse transform, as the published graph does it.

    That graph divides only the first window's length by the sum of the squared windows, and
    multiplies all by the ratio of points to hop: to be as loud as it, so does this.

    Args:
        spectrum: shape ``[120 F + 1, 22]``: log magnitudes, then phases before their sine.
        inverse: the inverse transform with its window, shape ``[22, 20]``.
        window_sum: sum of squared windows over the first 20 samples.

    Returns:
        Samples at 24 kHz, shape ``[600 F]``.
    """
    magnitude = np.exp(spectrum[:, :FREQUENCIES])
    phase = np.sin(spectrum[:, FREQUENCIES:])
    parts = np.concatenate([magnitude * np.cos(phase), magnitude * np.sin(phase)], axis=1)
    pieces = (parts @ inverse).reshape(len(parts), POINTS // HOP, HOP)
    overlapped = np.zeros((len(parts) + POINTS // HOP - 1, HOP), np.float32)
    for i in range(POINTS // HOP):
        overlapped[i : i + len(parts)] += pieces[:, i]
    samples = overlapped.reshape(-1)
    audible = window_sum > np.finfo(np.float32).tiny
    samples[:POINTS][audible] /= window_sum[audible]
    samples *= POINTS / HOP
    return samples[POINTS // 2 : -(POINTS // 2)]
