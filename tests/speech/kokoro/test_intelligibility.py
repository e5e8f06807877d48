"""Somebody who never saw the text can write it down from hearing it."""

import numpy as np
import pytest

from darkchannel.speech.kokoro.engine import KokoroEngine
from tests.speech.material import chunk_of
from tests.speech.whisper import transcribe, word_error_rate, words

PORTUGUESE = (
    "O mercado abria às seis da manhã.",
    "Primeiro vinham os pescadores, com as caixas de gelo e o cheiro do mar; depois, as mulheres "
    "das flores, que cantavam enquanto arrumavam os vasos.",
    "Tiago gostava de chegar antes de todos, comprar um café forte e observar.",
    "— Você não dorme nunca? — perguntou a moça das laranjas.",
    "— Durmo, sim — respondeu ele. — Mas o dia começa aqui.",
    "Naquele sábado, porém, uma porta ficou fechada, e ninguém sabia explicar por quê.",
)
ENGLISH = (
    "The lighthouse keeper counted the ships every evening and wrote the number in a small book.",
    "On the last night of October there were twelve, and one of them never answered his signal.",
)


def read(engine: KokoroEngine, sentences: tuple[str, ...], language: str) -> str:
    """Sentence by sentence aloud, with pauses, and what was heard."""
    pause = np.zeros(engine.sample_rate * 4 // 10, np.float32)
    chunks = [chunk_of(engine, text, language=language) for text in sentences]
    sound = [piece for speech in engine.synthesize(chunks) for piece in (speech.samples, pause)]
    return transcribe(np.concatenate(sound), engine.sample_rate, language[:2])


@pytest.mark.slow
def test_a_portuguese_paragraph_is_understood(kokoro: KokoroEngine) -> None:
    """Of about 80 words with dialogue at most 6 % are heard wrongly."""
    said = " ".join(PORTUGUESE)
    heard = read(kokoro, PORTUGUESE, "pt-BR")
    assert len(words(said)) >= 75
    assert word_error_rate(said, heard) <= 0.06, heard


@pytest.mark.slow
def test_english_is_understood(kokoro: KokoroEngine) -> None:
    """Likewise for the second language."""
    heard = read(kokoro, ENGLISH, "en-US")
    assert word_error_rate(" ".join(ENGLISH), heard) <= 0.06, heard


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
