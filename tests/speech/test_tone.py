"""The tone engine, through everything that mastering does to sound."""

import subprocess
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from darkchannel.speech.tone import ToneEngine, decode_tones
from darkchannel.speech.tone_code import Samples, decode
from tests.speech.material import chunk_of, utterance

SENTENCES = [
    "A chuva começou às três da tarde.",
    "— Você trouxe o guarda-chuva? — perguntou Inês, rindo.",
    "Não; trouxe só o jornal, um pão e “coragem”… 😀",
    "Oi.",
    "Custou R$ 1.250,00, ou 3,5% a mais do que em 1888!",
    "ação",
    "Uma frase comprida, com vírgulas, para que o bloco passe de muitos segundos, e ainda assim "
    "volte inteira do outro lado, com cada acento em seu lugar: é, ê, á, ã, õ, ç, ü.",
]
RATE = 44_100


def coded(sound: Samples, sample_rate: int, file: Path, *arguments: str) -> Samples:
    """Through FFmpeg to a file at 44.1 kHz, and back."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    raw = ["-f", "f32le", "-ac", "1"]
    command = [ffmpeg, "-v", "error", *raw, "-ar", str(sample_rate), "-i", "-", *arguments]
    subprocess.run([*command, "-ar", str(RATE), file], input=sound.tobytes(), check=True)
    back = subprocess.run(
        [ffmpeg, "-v", "error", "-i", file, *raw, "-"], check=True, capture_output=True
    )
    return np.frombuffer(back.stdout, np.float32)


@pytest.fixture(scope="module")
def book() -> Samples:
    """Chunks of one to three sentences at several speeds, with silences as in a book."""
    engine = ToneEngine()
    pauses = np.random.default_rng(7)
    pieces = [np.zeros(12_000, np.float32)]
    groups = [(0, 2, 1.0), (2, 3, 1.25), (3, 5, 0.5), (5, 7, 2.0)]
    for first, last, speed in groups:
        speech = next(engine.synthesize([chunk_of(engine, *SENTENCES[first:last], speed=speed)]))
        pause = np.zeros(int(pauses.integers(0, 50_000)), np.float32)
        pieces += [speech.samples, pause]
    return np.concatenate(pieces)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mp3", ["-c:a", "libmp3lame", "-b:a", "192k"]),
        ("m4b", ["-c:a", "aac", "-b:a", "128k"]),
        ("mp3", ["-af", "volume=14dB,alimiter=limit=0.6:level=false", "-b:a", "192k"]),
        ("m4b", ["-af", "volume=-14dB", "-c:a", "aac", "-b:a", "96k"]),
        ("mp3", ["-ac", "2", "-c:a", "libmp3lame", "-b:a", "192k"]),
        ("wav", []),
    ],
    ids=["mp3", "aac", "mp3-loud-and-limited", "aac-quiet", "mp3-stereo", "wav"],
)
def test_every_sentence_comes_back_from_an_encoded_book(
    book: Samples, name: str, arguments: list[str], tmp_path: Path
) -> None:
    """Gain, limiter, resampling and lossy coding leave every sentence readable, in order."""
    sound = coded(book, ToneEngine.sample_rate, tmp_path / f"book.{name}", *arguments)
    assert decode_tones(sound, RATE) == SENTENCES


def test_starts_of_utterances_are_exact() -> None:
    """Where the engine says an utterance begins, there it is heard to begin."""
    engine = ToneEngine()
    speech = next(engine.synthesize([chunk_of(engine, *SENTENCES[:3])]))
    heard = [reading.start for reading in decode(speech.samples, speech.sample_rate)]
    assert speech.utterance_starts == pytest.approx(heard, abs=1e-3)


def test_the_voice_language_and_speed_can_be_heard() -> None:
    """A test can prove who spoke, in which language and how fast."""
    engine = ToneEngine()
    chunk = chunk_of(engine, "Good morning.", language="en-US", voice="tone-d", speed=1.25)
    speech = next(engine.synthesize([chunk]))
    (reading,) = decode(speech.samples, speech.sample_rate)
    assert (reading.voice, reading.language, reading.speed) == (3, 1, 1.25)


@pytest.mark.parametrize("text", ["…", "—", "  ", "?!", ""])
def test_punctuation_alone_is_nothing_to_say(text: str) -> None:
    """Such an utterance has no tokens."""
    assert ToneEngine().count_tokens(utterance(text)) == 0


@pytest.mark.parametrize("text", ["a", "7", "€", "😀", "你好"])
def test_letters_digits_and_symbols_speak(text: str) -> None:
    """Each character of them is a token."""
    assert ToneEngine().count_tokens(utterance(text)) == len(text)


def test_it_is_instant() -> None:
    """At least 500 times faster than real time, as a book of ten thousand chunks needs."""
    engine = ToneEngine()
    chunks = [chunk_of(engine, *SENTENCES)] * 50
    next(engine.synthesize(chunks))
    began = time.process_time()
    seconds = sum(speech.seconds for speech in engine.synthesize(chunks))
    assert seconds / (time.process_time() - began) > 500
