"""The gain that brings a book to its target, and what is done when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from darkchannel.audio.ebur128 import read_ebur128
from darkchannel.audio.levels import FLOOR_DB
from darkchannel.audio.loudness import REPETITIONS, Processing, measure_level, reach_target
from darkchannel.audio.measurement import Measured
from darkchannel.audio.presets import ACX, PODCAST, R128, Preset
from darkchannel.errors import AudioError
from tests.audio.material import RATE, Samples, sine, speech_like

MEASURED = Measured("mp3", 44_100, 1, 192, True, 1.0, 0, 0, 0, -120, 0, 0, 0.7, 2.0)


def pcm(sound: Samples) -> list[bytes]:
    """The sound as blocks of PCM."""
    data = np.rint(sound * 32767).astype("<i2").tobytes()
    return [data[at : at + 10_000] for at in range(0, len(data), 10_000)]


def encoder(
    level: float, *, loss: float = 0.0, overshoot: float = 0.0
) -> Callable[[Processing], Measured]:
    """Encodes a book of that level in thought: a share of the gain is lost to the limiter."""

    def encode(processing: Processing) -> Measured:
        reached = level + processing.gain_db * (1 - loss)
        peak = processing.ceiling_db + overshoot
        return replace(MEASURED, rms_db=reached, integrated_lufs=reached, true_peak_dbtp=peak)

    return encode


@pytest.mark.parametrize("preset", [ACX, R128, PODCAST], ids=lambda preset: preset.name)
@pytest.mark.parametrize("level", [-50.0, -24.0, -6.0])
def test_one_encoding_is_enough_where_nothing_is_lost(preset: Preset, level: float) -> None:
    """The gain is the distance to the target."""
    (attempt,) = reach_target(preset, level, encoder(level))
    assert attempt.met(preset)
    assert attempt.processing.gain_db == pytest.approx(preset.target - level)
    assert attempt.processing.ceiling_db < preset.peak_ceiling


@pytest.mark.parametrize(("loss", "overshoot"), [(0.3, 0), (0.5, 0), (0, 1.2), (0.4, 0.9)])
def test_a_miss_is_corrected(loss: float, overshoot: float) -> None:
    """What the limiter took and by how much the codec overshot is made up for."""
    attempts = reach_target(ACX, -30, encoder(-30, loss=loss, overshoot=overshoot))
    assert 1 < len(attempts) <= 1 + REPETITIONS
    assert attempts[-1].met(ACX)
    assert not attempts[0].met(ACX)


def test_the_unreachable_is_given_up() -> None:
    """After the last repetition the result is what it is."""
    attempts = reach_target(ACX, -40, encoder(-40, loss=0.98))
    assert len(attempts) == 1 + REPETITIONS
    assert not attempts[-1].met(ACX)
    assert attempts[-1].measured.rms_db > attempts[0].measured.rms_db


def test_levels_before_mastering() -> None:
    """A sine of 1 kHz lies 3 dB under its peak, in RMS and (BS.1770) in LUFS."""
    sound = sine(5, 0.1)
    assert measure_level(pcm(sound), RATE, ACX) == pytest.approx(-23.01, abs=0.02)
    assert measure_level(pcm(sound), RATE, R128) == pytest.approx(-23.0, abs=0.15)


def test_gates_make_the_difference() -> None:
    """Silence lowers the RMS of the whole, but not the gated loudness."""
    sound = np.concatenate([speech_like(4), np.zeros(4 * RATE, np.float32)])
    alone = speech_like(4)
    assert measure_level(pcm(sound), RATE, ACX) == pytest.approx(
        measure_level(pcm(alone), RATE, ACX) - 3.01, abs=0.02
    )
    assert measure_level(pcm(sound), RATE, R128) == pytest.approx(
        measure_level(pcm(alone), RATE, R128), abs=0.5
    )


@pytest.mark.parametrize("preset", [ACX, R128], ids=lambda preset: preset.name)
@pytest.mark.parametrize("amplitude", [0.0, 0.0001])
def test_silence_is_refused(preset: Preset, amplitude: float) -> None:
    """No gain makes speech of silence."""
    with pytest.raises(AudioError, match="silent"):
        measure_level(pcm(sine(3, amplitude)), RATE, preset)


def test_summaries() -> None:
    """FFmpeg's words become figures, minus infinity a finite one."""
    log = """[Parsed_ebur128_0 @ 0x1] Summary:

  Integrated loudness:
    I:         -20.9 LUFS
    Threshold: -31.2 LUFS

  Loudness range:
    LRA:         2.6 LU

  True peak:
    Peak:        -inf dBFS
"""
    found = read_ebur128(log)
    assert (found.integrated, found.loudness_range, found.true_peak) == (-20.9, 2.6, FLOOR_DB)
    assert read_ebur128(log.partition("  True")[0]).true_peak == FLOOR_DB
    with pytest.raises(AudioError, match="loudness"):
        read_ebur128("nothing of the kind")
