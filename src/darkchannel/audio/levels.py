"""Levels of a stream of samples, measured as it passes: RMS, peak, noise floor, silent ends."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FLOOR_DB = -120.0
"""What digital silence is reported as: JSON has no minus infinity."""

SILENCE_DB = -60.0
"""Below it a hop counts as silence: the noise floor that ACX allows."""

HOP_SECONDS = 0.01
WINDOW_HOPS = 50
"""The noise floor is the quietest half second, as Audacity's ACX Check defines it."""


def decibels(amplitude: float) -> float:
    """Amplitude relative to full scale in dBFS, never below :data:`FLOOR_DB`."""
    if amplitude <= 10 ** (FLOOR_DB / 20):
        return FLOOR_DB
    return 20 * math.log10(amplitude)


class LevelMeter:
    """Measures blocks of any length; needs memory for one of them only.

    Args:
        sample_rate: in Hz.
        channels: of interleaved samples; levels are those of all channels together.
    """

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._frame_rate = sample_rate * channels
        self._hop = max(1, round(self._frame_rate * HOP_SECONDS))
        self._rest = np.zeros(0, np.float32)
        self._window = np.zeros(0, np.float64)
        self._quietest = math.inf
        self._power = 0.0
        self._peak = 0.0
        self._samples = 0
        self._hops = 0
        self._first_sound: int | None = None
        self._last_sound = 0

    def feed(self, samples: npt.NDArray[np.float32]) -> None:
        """Measure the next samples, full scale being 1.0."""
        if not len(samples):
            return
        self._peak = max(self._peak, float(samples.max()), -float(samples.min()))
        hops = (len(self._rest) + len(samples)) // self._hop
        joined = np.concatenate((self._rest, samples))
        self._rest = joined[hops * self._hop :].copy()
        if hops:
            whole = joined[: hops * self._hop].reshape(hops, self._hop)
            self._account(np.einsum("ij,ij->i", whole, whole).astype(np.float64))
        self._samples += len(samples)

    def _account(self, powers: npt.NDArray[np.float64]) -> None:
        self._power += float(powers.sum())
        loud = np.flatnonzero(powers > self._hop * 10 ** (SILENCE_DB / 10))
        if len(loud):
            if self._first_sound is None:
                self._first_sound = (self._hops + int(loud[0])) * self._hop
            self._last_sound = (self._hops + int(loud[-1]) + 1) * self._hop
        recent = np.concatenate((self._window, powers))
        if len(recent) >= WINDOW_HOPS:
            windows = np.lib.stride_tricks.sliding_window_view(recent, WINDOW_HOPS)
            self._quietest = min(self._quietest, float(windows.sum(axis=1).min()))
        self._window = recent[-(WINDOW_HOPS - 1) :]
        self._hops += len(powers)

    @property
    def seconds(self) -> float:
        """Length of what was measured."""
        return self._samples / self._frame_rate

    @property
    def rms_db(self) -> float:
        """Of everything, silence included, in dBFS (a full-scale square wave is 0)."""
        rest = self._rest.astype(np.float64)
        power = self._power + float(rest @ rest)
        return decibels(math.sqrt(power / self._samples)) if self._samples else FLOOR_DB

    @property
    def peak_db(self) -> float:
        """Largest sample in dBFS."""
        return decibels(self._peak)

    @property
    def noise_floor_db(self) -> float:
        """RMS of the quietest half second in dBFS; of everything if there is less than that."""
        if math.isinf(self._quietest):
            return self.rms_db
        return decibels(math.sqrt(self._quietest / (WINDOW_HOPS * self._hop)))

    @property
    def head_seconds(self) -> float:
        """Silence before the first sound, to 10 ms."""
        if self._first_sound is None:
            return self.seconds
        return self._first_sound / self._frame_rate

    @property
    def tail_seconds(self) -> float:
        """Silence after the last sound, to 10 ms."""
        return max(0.0, self._samples - self._last_sound) / self._frame_rate
