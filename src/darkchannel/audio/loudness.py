"""Loudness: measured over the whole book, then set by one static gain and a peak limiter.

One gain for the whole book keeps the voice's own dynamics: nothing is levelled from sentence to
sentence.  The limiter only takes the tops of peaks that the gain lifts beyond the ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darkchannel.audio.ebur128 import read_ebur128
from darkchannel.audio.ffmpeg import LOCAL_ONLY, run
from darkchannel.audio.levels import FLOOR_DB, LevelMeter
from darkchannel.audio.measurement import Measured
from darkchannel.audio.presets import Preset
from darkchannel.errors import AudioError

SILENT_BOOK_DB = -70.0
"""RMS below which there is no speech to bring to a level."""

REPETITIONS = 2
"""How often a book is encoded again when the result misses the target."""

LIMITER_MARGIN_DB = 0.5
"""The limiter works on samples; between them, and by MP3 coding, peaks rise a little again."""

ATTACK_MS = 5
RELEASE_MS = 50

_LARGEST_GAIN_DB = 60.0
_LARGEST_STEP_DB = 6.0
_LOWEST_CEILING_DB = -24.0


@dataclass(frozen=True, slots=True)
class Processing:
    """What is done to the book's samples: a gain, then a limiter, both in dB."""

    gain_db: float
    ceiling_db: float

    def filters(self, sample_rate: int) -> str:
        """The FFmpeg filters; the limiter runs at the rate of the encoders.

        ``latency=1`` makes up for its look-ahead, without which all would come 5 ms late;
        ``level=0`` keeps it from a gain of its own.  Both encoders take planar floats: said
        once here, it is not converted twice.
        """
        limit = 10 ** (self.ceiling_db / 20)
        return (
            f"volume={self.gain_db:.3f}dB:precision=float,aresample={sample_rate},"
            f"alimiter=limit={limit:.6f}:attack={ATTACK_MS}:release={RELEASE_MS}"
            ":level=0:latency=1,aformat=sample_fmts=fltp"
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one encoding was made with, and what its file measured."""

    processing: Processing
    measured: Measured

    def met(self, preset: Preset) -> bool:
        """Whether the file is near enough to the target and no peak is too high."""
        return (
            abs(self.measured.level(preset.unit) - preset.target) <= preset.tolerance
            and self.measured.true_peak_dbtp <= preset.peak_ceiling
        )


def measure_level(blocks: Iterable[bytes | memoryview], sample_rate: int, preset: Preset) -> float:
    """Level of the book before anything is done to it, in the preset's unit.

    Args:
        blocks: all of its samples, PCM 16 bit little-endian mono.
        sample_rate: in Hz.
        preset: says whether RMS or LUFS is wanted; only LUFS needs FFmpeg's meter.

    Raises:
        AudioError: there is nothing but silence.
    """
    meter = LevelMeter(sample_rate)
    if preset.unit == "rms":
        for _ in _metered(blocks, meter):
            pass
        level = meter.rms_db
    else:
        source = ("-f", "s16le", "-ar", str(sample_rate), "-ac", "1", *LOCAL_ONLY)
        log = run(
            [*source, "-i", "pipe:0", "-af", "ebur128=framelog=verbose", "-f", "null", "-"],
            blocks=_metered(blocks, meter),
        )
        level = read_ebur128(log).integrated
    if meter.rms_db < SILENT_BOOK_DB or level <= FLOOR_DB:
        raise AudioError(
            f"the whole book is silent ({meter.rms_db:.0f} dBFS): there is nothing to master",
            remedy="listen to the takes: the engine gave no sound",
        )
    return level


def _metered(
    blocks: Iterable[bytes | memoryview], meter: LevelMeter
) -> Iterator[bytes | memoryview]:
    for block in blocks:
        meter.feed(np.frombuffer(block, "<i2").astype(np.float32) / np.float32(32768))
        yield block


def first_processing(preset: Preset, level: float) -> Processing:
    """What brings a book of that level to the target, if the limiter takes nothing from it."""
    gain = min(preset.target - level, _LARGEST_GAIN_DB)
    return Processing(gain, preset.peak_ceiling - LIMITER_MARGIN_DB)


def reach_target(
    preset: Preset, level: float, encode: Callable[[Processing], Measured]
) -> list[Attempt]:
    """Encode, and encode again with a better gain or ceiling while the result misses.

    Args:
        preset: the target.
        level: of the book before anything is done to it, in the preset's unit.
        encode: makes the files and measures what came out.

    Returns:
        All attempts, at most 1 + :data:`REPETITIONS`; the last one's files are what is left.
    """
    attempts: list[Attempt] = []
    processing = first_processing(preset, level)
    while True:
        attempts.append(Attempt(processing, encode(processing)))
        if attempts[-1].met(preset) or len(attempts) > REPETITIONS:
            return attempts
        processing = corrected(preset, attempts)


def corrected(preset: Preset, attempts: Sequence[Attempt]) -> Processing:
    """What to try after attempts that missed: by secant once there are two of them."""
    last = attempts[-1]
    missing = preset.target - last.measured.level(preset.unit)
    gain = last.processing.gain_db
    if abs(missing) > preset.tolerance / 2:
        step = missing / _slope(preset, attempts)
        gain += min(max(step, -_LARGEST_STEP_DB), _LARGEST_STEP_DB)
    over = last.measured.true_peak_dbtp - preset.peak_ceiling
    ceiling = last.processing.ceiling_db - (over + 0.1 if over > 0 else 0.0)
    return Processing(min(gain, _LARGEST_GAIN_DB), max(ceiling, _LOWEST_CEILING_DB))


def _slope(preset: Preset, attempts: Sequence[Attempt]) -> float:
    """How many dB of level a dB of gain brings: less than one where the limiter works."""
    if len(attempts) < 2:
        return 1.0
    before, last = attempts[-2:]
    gained = last.processing.gain_db - before.processing.gain_db
    if abs(gained) < 0.1:
        return 1.0
    rise = last.measured.level(preset.unit) - before.measured.level(preset.unit)
    return min(1.0, max(0.2, rise / gained))
