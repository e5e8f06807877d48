"""Levels measured while samples pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.audio.levels import FLOOR_DB, LevelMeter, decibels
from tests.audio.material import RATE, Samples, sine, speech_like

SOUND = np.concatenate(
    [np.zeros(RATE * 7 // 10, np.float32), speech_like(2), np.zeros(RATE * 12 // 10, np.float32)]
)


def metered(*blocks: Samples, rate: int = RATE) -> LevelMeter:
    """A meter that has heard these blocks."""
    meter = LevelMeter(rate)
    for block in blocks:
        meter.feed(block)
    return meter


@given(st.lists(st.integers(0, len(SOUND)), max_size=12))
@settings(max_examples=30)
def test_blocks_do_not_matter(cuts: list[int]) -> None:
    """Cut as it may be, the same sound measures the same."""
    meter = metered(*np.split(SOUND, sorted(cuts)))
    whole = metered(SOUND)
    for figure in ("rms_db", "peak_db", "noise_floor_db", "head_seconds", "tail_seconds"):
        assert getattr(meter, figure) == pytest.approx(getattr(whole, figure), abs=1e-6)
    assert meter.seconds == len(SOUND) / RATE


def test_figures_are_those_of_the_definitions() -> None:
    """RMS and peak agree with the formulas on the whole array."""
    meter = metered(SOUND)
    assert meter.rms_db == pytest.approx(10 * np.log10(np.mean(np.float64(SOUND) ** 2)), abs=1e-4)
    assert meter.peak_db == pytest.approx(20 * np.log10(np.abs(SOUND).max()), abs=1e-6)


def test_a_sine_lies_3_db_under_its_peak() -> None:
    """RMS follows the convention in which a full-scale square wave is 0 dBFS."""
    assert metered(sine(1, 1.0)).rms_db == pytest.approx(-3.01, abs=0.01)


def test_silence_at_both_ends() -> None:
    """Head and tail are right to a hop of 10 ms, apart from a voice that begins softly."""
    meter = metered(np.zeros(RATE // 2, np.float32), sine(1), np.zeros(RATE, np.float32))
    assert meter.head_seconds == pytest.approx(0.5, abs=0.011)
    assert meter.tail_seconds == pytest.approx(1.0, abs=0.011)


@pytest.mark.parametrize("hiss_db", [-90.0, -61.0, -50.0])
def test_noise_floor_is_that_of_the_quietest_half_second(hiss_db: float) -> None:
    """Half a second of hiss between loud parts is found at its own level."""
    hiss = np.random.default_rng(1).standard_normal(RATE * 6 // 10).astype(np.float32)
    hiss *= np.float32(10 ** (hiss_db / 20))
    assert metered(sine(1), hiss, sine(1)).noise_floor_db == pytest.approx(hiss_db, abs=0.3)


def test_digital_silence_is_a_finite_figure() -> None:
    """JSON has no minus infinity."""
    meter = metered(np.zeros(RATE, np.float32))
    assert meter.rms_db == meter.peak_db == meter.noise_floor_db == FLOOR_DB
    assert meter.head_seconds == 1.0


def test_nothing_at_all() -> None:
    """A meter that heard nothing says so."""
    meter = metered()
    assert meter.seconds == 0
    assert meter.rms_db == FLOOR_DB


@pytest.mark.parametrize(("amplitude", "expected"), [(1, 0), (0.5, -6.02), (0, -120), (1e-9, -120)])
def test_decibels(amplitude: float, expected: float) -> None:
    """Decibels of an amplitude, with a floor."""
    assert decibels(amplitude) == pytest.approx(expected, abs=0.01)
