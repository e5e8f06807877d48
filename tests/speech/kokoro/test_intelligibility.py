"""Somebody who never saw the text can write it down from hearing it."""

from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.speech.kokoro.engine import KokoroEngine
from tests.speech.whisper import heard_words, transcribe, word_error_rate, words

EXAMPLE = Path(__file__).parents[3] / "examples" / "capitulo.txt"
ENGLISH = (
    "The lighthouse keeper counted the ships every evening and wrote the number in a small book.",
    "On the last night of October there were twelve, and one of them never answered his signal.",
)


def demo_paragraphs() -> list[str]:
    """The first paragraphs of the demo: narration, numbers, names and dialogue."""
    return EXAMPLE.read_text(encoding="utf-8").split("\n\n")[1:4]


def read(engine: KokoroEngine, text: str, language: str) -> str:
    """A text as it would be rendered, pauses and all, and what was heard."""
    plan = plan_text(text.encode(), RenderOptions(language=language), engine)
    sound = []
    for chunk, speech in zip(plan.chunks, engine.synthesize(plan.chunks), strict=True):
        pause = np.zeros(round(engine.sample_rate * chunk.pause_after), np.float32)
        sound += [speech.samples, pause]
    return transcribe(np.concatenate(sound), engine.sample_rate, language[:2])


@pytest.mark.slow
def test_the_demo_is_understood(kokoro: KokoroEngine) -> None:
    """Of the first 90 words or so of the demo chapter at most 6 % are heard wrongly."""
    said = "\n\n".join(demo_paragraphs())
    heard = read(kokoro, said, "pt-BR")
    assert len(words(said)) >= 75
    assert word_error_rate(said, heard) <= 0.06, heard


@pytest.mark.slow
def test_english_is_understood(kokoro: KokoroEngine) -> None:
    """Likewise for the second language."""
    heard = read(kokoro, " ".join(ENGLISH), "en-US")
    assert word_error_rate(" ".join(ENGLISH), heard) <= 0.06, heard


@pytest.mark.slow
def test_words_sound_when_the_engine_says(kokoro: KokoroEngine) -> None:
    """Over the demo's first paragraphs half of all words begin within 80 ms of where heard."""
    differences, compared, total = [], 0, 0
    plan = plan_text("\n\n".join(demo_paragraphs()).encode(), RenderOptions(), kokoro)
    for chunk, speech in zip(plan.chunks, kokoro.synthesize(plan.chunks), strict=True):
        said = words(" ".join(utterance.spoken for utterance in chunk.utterances))
        times = speech.word_times
        assert times is not None
        total += len(said)
        if len(times) != len(said):  # espeak-ng joined or divided words: no telling which is which
            continue
        compared += len(said)
        heard = heard_words(speech.samples, speech.sample_rate, "pt")
        pairs = SequenceMatcher(None, said, [word for word, _ in heard], autojunk=False)
        for block in pairs.get_matching_blocks():
            for i in range(block.size):
                differences.append(heard[block.b + i][1] - times[block.a + i].start)
    assert compared >= 0.6 * total
    assert len(differences) >= 0.5 * total
    assert np.median(np.abs(differences)) <= 0.08, np.percentile(differences, [10, 50, 90])


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("Um dois três quatro", "um, dois, três, quatro!", 0.0),
        ("São 23 anos", "são vinte e três anos", 0.0),
        ("um dois três quatro", "um dois quatro", 0.25),
        ("um dois", "um três dois", 0.5),
        ("um dois", "", 1.0),
    ],
)
def test_word_errors_are_counted_as_words(said: str, heard: str, rate: float) -> None:
    """Punctuation, case and figures do not matter; missing, added and changed words do."""
    assert word_error_rate(said, heard) == pytest.approx(rate)
