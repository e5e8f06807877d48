"""Another sample rate, the same sound."""

from __future__ import annotations

import numpy as np
import pytest

from darkchannel.speech.resampling import resample
from tests.speech.openvoice.seeded import GOLDEN, RATE, voiced


def tone(hertz: float, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Half a second."""
    return np.sin(2 * np.pi * hertz * np.arange(rate // 2) / rate).astype(np.float32)


@pytest.mark.parametrize(("rate", "new_rate"), [(24_000, 22_050), (22_050, 24_000), (8_000, 6_000)])
def test_a_tone_stays_the_same_tone(rate: int, new_rate: int) -> None:
    """At the new rate it is what sampling it there would have given, to 1 part in 10,000."""
    resampled = resample(tone(440, rate), rate, new_rate)
    wanted = tone(440, new_rate)
    assert len(resampled) == len(wanted)
    np.testing.assert_allclose(resampled[500:-500], wanted[500:-500], atol=1e-4)


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    """A tone above the new Nyquist frequency leaves less than -100 dB."""
    assert np.abs(resample(tone(11_500, 24_000), 24_000, 22_050)[500:-500]).max() < 1e-5


def test_it_agrees_with_what_the_reference_code_uses() -> None:
    """Within 1e-5 of libsoxr at high quality, away from the ends, for what is below 9 kHz."""
    with np.load(GOLDEN) as golden:
        wanted = golden["resampled"]
    resampled = resample(voiced(0.2, 150, 5, 24_000), 24_000, RATE)
    np.testing.assert_allclose(resampled[200:-200], wanted[200:-200], atol=1e-5)


def test_the_same_rate_and_no_samples_are_left_alone() -> None:
    """Nothing to do is done exactly."""
    samples = tone(440, 8_000)
    assert np.array_equal(resample(samples, 8_000, 8_000), samples)
    assert len(resample(samples[:0], 8_000, 6_000)) == 0
