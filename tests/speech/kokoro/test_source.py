"""The two ends of the generator are those of the published graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.speech.kokoro.source import (
    FREQUENCIES,
    HOP,
    PITCH_HOP,
    POINTS,
    SAMPLE_RATE,
    harmonics,
    sound,
)
from tests.speech.kokoro import golden

Array = npt.NDArray[np.float32]

GOLDEN = golden.load()
VALUES_A_SECOND = SAMPLE_RATE // PITCH_HOP


def source_of(pitch: Array) -> Array:
    """The source as the model mixes it."""
    bias = float(GOLDEN["source.bias"][0])
    return harmonics(pitch, GOLDEN["source.mixing"], bias, GOLDEN["source.window"])


def steady(hertz: float, seconds: float) -> Array:
    """A pitch that stays."""
    return np.full(round(seconds * VALUES_A_SECOND), hertz, np.float32)


def magnitudes(source: Array) -> Array:
    """The first half of a source's columns."""
    return source[:, :FREQUENCIES]


def phases(source: Array) -> Array:
    """The second half of a source's columns."""
    return source[:, FREQUENCIES:]


def wave_of(source: Array) -> npt.NDArray[np.float64]:
    """The wave that a source is the transform of, without its first and last frame."""
    pieces = np.fft.irfft(magnitudes(source) * np.exp(1j * phases(source)), POINTS)
    wave = np.zeros(len(source) * HOP + POINTS)
    for i, piece in enumerate(pieces):
        wave[i * HOP : i * HOP + POINTS] += piece
    # Where four windows overlap, they add up to twice the wave.
    return wave[POINTS // 2 + PITCH_HOP : -POINTS // 2 - HOP - PITCH_HOP] / 2


def strongest(wave: npt.NDArray[np.float64]) -> float:
    """The strongest frequency in Hz, the constant part aside, within one line of the spectrum."""
    spectrum = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(wave))


@pytest.mark.parametrize("which", ["published", "contour"])
def test_the_source_is_the_published_one(which: str) -> None:
    """Of a real pitch and a jumpy one, magnitudes and phases are those the graph computes."""
    ours, theirs = source_of(GOLDEN[f"{which}.pitch"]), GOLDEN[f"{which}.source"]
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(magnitudes(ours), magnitudes(theirs), atol=2e-4)
    apart = np.abs(np.exp(1j * phases(ours)) - np.exp(1j * phases(theirs)))
    assert np.max(apart * magnitudes(theirs)) < 2e-4
    assert np.max(apart[magnitudes(theirs) > 0.01]) < 0.01


def test_the_lowest_frequency_has_the_published_sign() -> None:
    """Half a turn is written as pi there, as in 99 of 100 windows of the graph."""
    ours = phases(source_of(GOLDEN["published.pitch"]))[:, 0]
    theirs = phases(GOLDEN["published.source"])[:, 0]
    assert set(ours) == {np.float32(0), np.float32(np.pi)}
    assert np.mean(np.abs(ours - theirs) < 1e-4) > 0.99


def test_the_highest_frequency_has_the_published_sign() -> None:
    """Half a turn is written as -pi there, as mostly in the graph, which rounds to either."""
    theirs = GOLDEN["published.source"]
    ours = phases(source_of(GOLDEN["published.pitch"]))[:, -1]
    half_turn = (np.abs(phases(theirs)[:, -1]) > 3.1) & (magnitudes(theirs)[:, -1] > 1e-4)
    assert set(ours) == {np.float32(0), np.float32(-np.pi)}
    assert np.all(ours[half_turn] < 0)
    assert np.mean(phases(theirs)[half_turn, -1] < 0) > 0.6


@settings(deadline=None)
@given(st.floats(0, 10), st.integers(2, 40))
def test_without_a_voice_there_are_no_harmonics(hertz: float, values: int) -> None:
    """A pitch of 10 Hz or less gives a constant: the same in all windows, nothing above it."""
    source = magnitudes(source_of(np.full(values, hertz, np.float32)))
    constant = abs(np.tanh(GOLDEN["source.bias"][0]))
    assert np.max(np.abs(source[:, 0] - constant * GOLDEN["source.window"].sum())) < 1e-6
    assert np.max(source[:, 2:]) < 1e-6  # the second is the window's own


@settings(max_examples=25, deadline=None)
@given(st.floats(50, 500), st.integers(1, 9))
def test_a_steady_pitch_gives_its_harmonics(hertz: float, harmonic: int) -> None:
    """Each weight is that of a multiple of the pitch, the first of the pitch itself."""
    mixing = np.zeros(9, np.float32)
    mixing[harmonic - 1] = 1
    wave = wave_of(harmonics(steady(hertz, 1), mixing, 0.0, GOLDEN["source.window"]))
    assert strongest(wave) == pytest.approx(harmonic * hertz, abs=1.5)
    # The crest lies between two samples: half a sample beside it, at the worst.
    beside = np.cos(np.pi * harmonic * hertz / 24_000)
    assert 0.99 * np.tanh(0.1 * beside) <= np.abs(wave).max() <= 1.01 * np.tanh(0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(48, 400))
def test_the_wave_of_a_steady_pitch_repeats(period: int) -> None:
    """Mixed as in the model, the wave repeats after one period of the pitch and not before."""
    wave = wave_of(source_of(steady(SAMPLE_RATE / period, 0.2)))

    def unlike(shift: int) -> float:
        return float(np.abs(wave[shift:] - wave[:-shift]).max())

    assert unlike(period) < 1e-5
    assert min(unlike(round(period / part)) for part in range(2, 10)) > 1e-2


def test_a_long_chunk_stays_in_tune() -> None:
    """After a minute a steady pitch goes on exactly as it began."""
    source = source_of(steady(200.0, 60))
    second = SAMPLE_RATE // HOP
    early, late = source[second : 2 * second], source[58 * second : 59 * second]
    np.testing.assert_allclose(magnitudes(late), magnitudes(early), atol=1e-5)


def test_the_sound_is_the_published_one() -> None:
    """From the graph's spectrum come the graph's samples, as loud as there."""
    samples = sound(
        GOLDEN["published.spectrum"], GOLDEN["sound.inverse"], GOLDEN["sound.window_sum"]
    )
    assert samples.dtype == np.float32
    assert samples.shape == GOLDEN["published.samples"].shape
    np.testing.assert_allclose(samples, GOLDEN["published.samples"], atol=2e-6)


def test_the_spectrum_and_the_weights_are_left_as_they_were() -> None:
    """They are read, not worked on: weights are shared by all chunks."""
    names = ("published.spectrum", "sound.inverse", "sound.window_sum")
    arrays = [GOLDEN[name].copy() for name in names]
    sound(*arrays)
    assert all(
        np.array_equal(array, GOLDEN[name]) for array, name in zip(arrays, names, strict=True)
    )
