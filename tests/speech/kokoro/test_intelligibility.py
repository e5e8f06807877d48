"""Somebody who never saw the text can write it down from hearing it."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from darkchannel.models import Chunk
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.speech.engine import Speech
from darkchannel.speech.kokoro.engine import SAMPLE_RATE as RATE
from darkchannel.speech.kokoro.engine import KokoroEngine
from darkchannel.speech.kokoro.runtime import choose, cpu_flags
from tests.speech.real_kokoro import settings
from tests.speech.whisper import heard_words, transcribe, word_error_rate, words

EXAMPLE = Path(__file__).parents[3] / "examples" / "capitulo.txt"
ENGLISH = (
    "The lighthouse keeper counted the ships every evening and wrote the number in a small book.",
    "On the last night of October there were twelve, and one of them never answered his signal.",
)

Samples = npt.NDArray[np.float32]
Spoken = tuple[float, Chunk, Speech]
"""A chunk, its speech, and the second of the whole at which it begins."""


def demo_paragraphs() -> list[str]:
    """The first paragraphs of the demo: narration, numbers, names and dialogue."""
    return EXAMPLE.read_text(encoding="utf-8").split("\n\n")[1:4]


def read(engine: KokoroEngine, text: str, language: str) -> tuple[Samples, list[Spoken]]:
    """A text as it would be rendered, pauses and all, and what is said where in it."""
    plan = plan_text(text.encode(), RenderOptions(language=language), engine)
    sound, spoken, seconds = [], [], 0.0
    for chunk, speech in zip(plan.chunks, engine.synthesize(plan.chunks), strict=True):
        spoken.append((seconds, chunk, speech))
        sound += [speech.samples, np.zeros(round(RATE * chunk.pause_after), np.float32)]
        seconds += speech.seconds + chunk.pause_after
    return np.concatenate(sound), spoken


@pytest.mark.slow
def test_the_demo_is_understood_and_its_words_sound_when_the_engine_says(
    kokoro: KokoroEngine,
) -> None:
    """Of 90 words 6 % at most are heard wrongly, and half begin within 80 ms of where heard."""
    said = "\n\n".join(demo_paragraphs())
    sound, spoken = read(kokoro, said, "pt-BR")
    heard = heard_words(sound, RATE, "pt")
    assert len(words(said)) >= 75
    told = " ".join(word for word, _start in heard)
    assert word_error_rate(said, told) <= 0.06, told

    times = list(word_starts(spoken))
    assert len(times) >= 0.6 * len(words(said))
    differences = []
    pairs = SequenceMatcher(None, [w for w, _ in times], [w for w, _ in heard], autojunk=False)
    for block in pairs.get_matching_blocks():
        for i in range(block.size):
            differences.append(heard[block.b + i][1] - times[block.a + i][1])
    assert len(differences) >= 0.5 * len(words(said))
    assert np.median(np.abs(differences)) <= 0.08, np.percentile(differences, [10, 50, 90])


def word_starts(spoken: list[Spoken]) -> Iterator[tuple[str, float]]:
    """Each word and the second at which the engine says that it begins.

    A chunk in which espeak-ng joined or divided words is left out: there is no telling which of
    its words is which.
    """
    for seconds, chunk, speech in spoken:
        said = words(" ".join(utterance.spoken for utterance in chunk.utterances))
        times = speech.word_times
        assert times is not None
        if len(times) == len(said):
            yield from ((w, seconds + t.start) for w, t in zip(said, times, strict=True))


@pytest.mark.acceptance
def test_english_is_understood(kokoro: KokoroEngine) -> None:
    """Likewise for the second language."""
    sound, _spoken = read(kokoro, " ".join(ENGLISH), "en-US")
    heard = transcribe(sound, RATE, "en")
    assert word_error_rate(" ".join(ENGLISH), heard) <= 0.06, heard


@pytest.mark.acceptance
@pytest.mark.skipif("avx2" not in cpu_flags(), reason="float32 is not chosen without AVX2")
def test_a_cpu_that_lacks_the_fast_products_says_the_same_words(
    kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither bfloat16 nor VNNI, as OpenVINO may be told, another runtime is chosen."""
    said = demo_paragraphs()[0]
    usual = transcribe(read(kokoro, said, "pt-BR")[0], RATE, "pt")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert choose(None).runtime == "float32"
    lacking = KokoroEngine(settings().data_dir, threads=2)
    assert words(transcribe(read(lacking, said, "pt-BR")[0], RATE, "pt")) == words(usual)


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
