"""Text as tones, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.errors import AudioError
from darkchannel.speech.tone_code import SAMPLE_RATE, Reading, Samples, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SPEEDS = st.integers(500, 2000).map(lambda thousandths: thousandths / 1000)


def silence(seconds: float) -> Samples:
    """Nothing, for a while."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@settings(max_examples=40, deadline=None)
@given(
    text=TEXTS,
    who=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    speed=SPEEDS,
    lead=st.integers(0, 5000),
    gain=st.floats(0.05, 5),
)
def test_whatever_is_encoded_is_read_back(
    text: str, who: tuple[int, int], speed: float, lead: int, gain: float
) -> None:
    """Any text by any voice at any speed comes back, wherever it stands and however loud."""
    voice, language = who
    sound = encode(text, voice=voice, language=language, speed=speed) * np.float32(gain)
    reading = decode(np.concatenate([np.zeros(lead, np.float32), sound]), SAMPLE_RATE)
    assert [tuple(one)[:4] for one in reading] == [(text, voice, language, speed)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.floats(0, 0.7)), min_size=2, max_size=5))
def test_silences_between_utterances_do_not_matter(row: list[tuple[str, float]]) -> None:
    """Utterances come back in order with no, short or long silence between them."""
    pieces = [
        piece
        for text, pause in row
        for piece in (encode(text, voice=1, language=0, speed=1.0), silence(pause))
    ]
    assert [one.text for one in decode(np.concatenate(pieces), SAMPLE_RATE)] == [
        text for text, _pause in row
    ]


def test_a_reading_says_when_it_was_said() -> None:
    """Start and end are those of the sound, to a millisecond."""
    sound = encode("Bom dia.", voice=0, language=0, speed=1.0)
    (reading,) = decode(np.concatenate([silence(1), sound, silence(1)]), SAMPLE_RATE)
    assert reading.start == pytest.approx(1.0, abs=1e-3)
    assert reading.end == pytest.approx(1 + len(sound) / SAMPLE_RATE, abs=1e-3)


def test_silence_says_nothing() -> None:
    """Nothing is read from silence, nor from nothing at all."""
    assert decode(silence(1), SAMPLE_RATE) == []
    assert decode(silence(0), SAMPLE_RATE) == []


def cut_short(sound: Samples) -> Samples:
    """The first two thirds."""
    return sound[: len(sound) * 2 // 3]


def without_its_start(sound: Samples) -> Samples:
    """All but the first 50 ms."""
    return sound[round(0.05 * SAMPLE_RATE) :]


def with_a_hole(sound: Samples) -> Samples:
    """A tenth of a second in the middle replaced by another tone."""
    holed = sound.copy()
    middle, width = len(sound) // 2, SAMPLE_RATE // 10
    angles = 2 * np.pi * 1500 * np.arange(width) / SAMPLE_RATE
    holed[middle : middle + width] = 0.14 * np.sin(angles)
    return holed


def as_noise(sound: Samples) -> Samples:
    """Noise as long and loud."""
    noise = np.random.default_rng(0).normal(0, 0.1, len(sound))
    return noise.astype(np.float32)


@pytest.mark.parametrize("spoil", [cut_short, without_its_start, with_a_hole, as_noise])
def test_what_is_not_a_whole_utterance_is_an_error(spoil: object) -> None:
    """A damaged utterance is reported with its place, never skipped and never misread."""
    assert callable(spoil)
    sound = encode("O vento mudou durante a noite.", voice=0, language=0, speed=1.0)
    with pytest.raises(AudioError, match=r"at \d+\.\d{3} s"):
        decode(spoil(sound), SAMPLE_RATE)


def test_the_level_is_that_of_speech() -> None:
    """RMS is -20 dBFS, so that loudness code has something sane to work on."""
    sound = encode("Bom dia, disse ela.", voice=0, language=0, speed=1.0)
    assert 20 * np.log10(np.sqrt(np.mean(sound**2))) == pytest.approx(-20, abs=0.1)


def test_every_symbol_joins_the_next_without_a_step() -> None:
    """The wave never jumps: no step is larger than the steepest sine's own."""
    sound = encode("Bom dia, disse ela.", voice=0, language=0, speed=1.3)
    steepest = 0.1 * 2**0.5 * 2 * np.pi * 4800 / SAMPLE_RATE
    assert np.abs(np.diff(sound)).max() <= steepest


@pytest.mark.parametrize(
    ("text", "voice", "language", "speed"),
    [("a" * 65_536, 0, 0, 1.0), ("a", 16, 0, 1.0), ("a", 0, 16, 1.0), ("a", 0, 0, 5.0)],
)
def test_what_does_not_fit_a_frame_is_refused(
    text: str, voice: int, language: int, speed: float
) -> None:
    """Fields beyond their range raise instead of being cut."""
    with pytest.raises(ValueError, match=r"."):
        encode(text, voice=voice, language=language, speed=speed)


def test_a_reading_has_a_plain_shape() -> None:
    """Text, voice, language, speed, start and end, in that order."""
    assert Reading._fields == ("text", "voice", "language", "speed", "start", "end")
