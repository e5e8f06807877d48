"""Silence around speech is taken away, speech is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.speech.edges import Samples, find_edges

RATE = 24_000


def trim(samples: Samples, rate: int) -> Samples:
    """The samples without the silence around them."""
    return find_edges(samples, rate).cut(samples)


def tone(seconds: float, decibels: float) -> Samples:
    """A tone at a level in dBFS RMS."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 2**0.5 * 10 ** (decibels / 20) * np.sin(2 * np.pi * 440 * time)
    return wave.astype(np.float32)


def hiss(seconds: float, decibels: float) -> Samples:
    """Noise at a level in dBFS RMS."""
    noise = np.random.default_rng(3).normal(0, 10 ** (decibels / 20), round(seconds * RATE))
    return noise.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(-120, -90))
def test_at_most_twenty_milliseconds_of_silence_remain(
    lead: float, tail: float, floor: float
) -> None:
    """Whatever silence surrounds it, the speech is there whole, with 20 ms at most beside it."""
    speech = tone(0.5, -20)
    kept = trim(np.concatenate([hiss(lead, floor), speech, hiss(tail, floor)]), RATE)
    assert len(speech) - 0.005 * RATE <= len(kept) <= len(speech) + 0.04 * RATE + 1
    assert np.sum(kept**2) == pytest.approx(np.sum(speech**2), rel=1e-3)


def test_a_soft_consonant_at_either_edge_is_kept() -> None:
    """An onset and a release 40 dB below the vowels are speech."""
    soft = hiss(0.08, -60)
    silence = hiss(0.3, -100)
    take = np.concatenate([silence, soft, tone(0.5, -20), soft, silence])
    assert len(trim(take, RATE)) >= 0.65 * RATE


@pytest.mark.parametrize("level", [-200, -70])
def test_a_silent_take_is_empty(level: float) -> None:
    """Nothing but a noise floor is nothing."""
    assert len(trim(hiss(1, level), RATE)) == 0
    assert len(trim(np.zeros(0, np.float32), RATE)) == 0


def test_no_edge_clicks() -> None:
    """A cut through a noise floor starts and ends at zero."""
    kept = trim(np.concatenate([hiss(0.2, -75), tone(0.3, -15), hiss(0.2, -75)]), RATE)
    assert abs(kept[0]) < 1e-6
    assert abs(kept[-1]) < 1e-4


def test_the_input_is_left_as_it_was() -> None:
    """Trimming works on a copy."""
    take = np.concatenate([hiss(0.2, -80), tone(0.3, -15), hiss(0.2, -80)])
    before = take.copy()
    trim(take, RATE)
    assert np.array_equal(take, before)
