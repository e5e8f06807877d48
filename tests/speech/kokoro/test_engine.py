"""The Kokoro engine beyond what every engine does, on the real weights."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from darkchannel.errors import EngineUnavailableError, SettingError, SynthesisError
from darkchannel.models import Pronunciation
from darkchannel.speech.edges import Edges, find_edges
from darkchannel.speech.kokoro import engine as engine_module
from darkchannel.speech.kokoro import runtime as runtime_module
from darkchannel.speech.kokoro.engine import SAMPLE_RATE, KokoroEngine
from darkchannel.speech.kokoro.runtime import RUNTIMES, Spoken
from darkchannel.speech.kokoro.vocabulary import SPACE
from tests.speech.material import chunk_of, utterance

PARAGRAPH = (
    "O barco saiu antes do sol, com duas redes novas e um rádio velho.",
    "— Não esqueça o café — disse a mãe, da porta.",
    "Ele acenou sem olhar para trás.",
)
SOFT_EDGES = ("Foi fácil, fiz as três.", "Sim, senhor.", "Hoje há paz.")


def test_a_new_engine_costs_nothing(tmp_path: Path) -> None:
    """Making one, listing voices and counting tokens need no weights at all."""
    engine = KokoroEngine(tmp_path / "nowhere", offline=True)
    assert len(engine.voices) == 31
    assert engine.resolve_voice(None, "en-GB") == "bf_emma"
    assert engine.count_tokens(utterance(PARAGRAPH[0])) > 50
    assert not (tmp_path / "nowhere").exists()


def test_without_weights_offline_it_says_what_is_missing(tmp_path: Path) -> None:
    """Speaking needs them: the error names the file and its place."""
    engine = KokoroEngine(tmp_path, offline=True)
    with pytest.raises(EngineUnavailableError) as refused:
        next(engine.synthesize([chunk_of(engine, "Olá.")]))
    assert "kokoro-v1.0.int8.onnx" in refused.value.message
    assert str(tmp_path / "models" / "kokoro") in refused.value.message


def test_what_was_loaded_ahead_is_not_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk finds the runtime there."""
    loaded: list[KokoroEngine] = []

    class Waiting:
        def run(self, *_: object) -> Spoken:
            return Spoken(np.ones(SAMPLE_RATE, np.float32), None)

    def load(engine: KokoroEngine) -> Waiting:
        loaded.append(engine)
        return Waiting()

    monkeypatch.setattr(KokoroEngine, "_loaded", load)
    monkeypatch.setattr(KokoroEngine, "_style", lambda *_: np.zeros((510, 256), np.float32))
    engine = KokoroEngine(tmp_path, offline=True)
    engine.load()
    assert loaded == [engine]
    next(engine.synthesize([chunk_of(engine, "Olá.")]))
    assert loaded == [engine]


def test_loading_says_what_is_missing(tmp_path: Path) -> None:
    """As the first chunk would."""
    with pytest.raises(EngineUnavailableError, match=r"kokoro-v1\.0\.int8\.onnx"):
        KokoroEngine(tmp_path, offline=True).load()


def test_the_fingerprint_names_all_that_decides_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runtime, weights, espeak-ng and the versions of phonemes and code are in it."""
    rest = "1-6e742170d309-espeak-1.52.0-phonemes-1"
    monkeypatch.setattr(runtime_module, "overflows", lambda *_: False)  # on whatever CPU
    for runtime in RUNTIMES:
        engine = KokoroEngine(tmp_path, runtime=runtime)
        assert engine.fingerprint == f"kokoro-{runtime}-{rest}"


def test_a_runtime_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The error names the choices."""
    with pytest.raises(SettingError, match="quantum") as refused:
        KokoroEngine(tmp_path, runtime="quantum")
    assert "float32, onnxruntime, openvino" in refused.value.remedy


def test_tokens_of_a_chunk_are_those_of_its_utterances(tmp_path: Path) -> None:
    """Utterances are phonemised alone and joined by one space, so that counts add up."""
    engine = KokoroEngine(tmp_path)
    apart = [engine.tokens(chunk_of(engine, text)) for text in PARAGRAPH[:2]]
    assert engine.tokens(chunk_of(engine, *PARAGRAPH[:2])) == (*apart[0], SPACE, *apart[1])


def test_a_given_pronunciation_changes_the_tokens_of_its_word_only(tmp_path: Path) -> None:
    """The author's phonemes are what the model gets."""
    engine = KokoroEngine(tmp_path)
    text = "Ele mora em Itu hoje."
    plain = engine.tokens(chunk_of(engine, text))
    given = utterance(text, pronunciations=(Pronunciation(12, 15, "ˈitu"),))
    changed = engine.tokens(chunk_of(engine, given))
    assert changed != plain
    assert changed[:8] == plain[:8]
    assert changed[-6:] == plain[-6:]


@pytest.mark.slow
def test_a_paragraph_has_a_plausible_length_and_level(kokoro: KokoroEngine) -> None:
    """40 to 60 ms for a token, loud enough to be heard, quiet enough not to be noise."""
    chunk = chunk_of(kokoro, *PARAGRAPH)
    speech = next(kokoro.synthesize([chunk]))
    level = 20 * np.log10(np.sqrt(np.mean(speech.samples**2)))
    assert 0.04 <= speech.seconds / chunk.tokens <= 0.06
    assert -32 <= level <= -14


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 510])
def test_the_shortest_and_the_longest_chunk_are_spoken(kokoro: KokoroEngine, tokens: int) -> None:
    """One phoneme is enough, and the limit itself is allowed."""
    given = utterance("x", pronunciations=(Pronunciation(0, 1, "a" * tokens),))
    chunk = chunk_of(kokoro, given, speed=2.0)
    assert chunk.tokens == tokens
    assert next(kokoro.synthesize([chunk])).seconds > 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ("voice", "language"),
    [
        ("pf_dora", "pt-BR"),
        ("am_adam", "en-US"),
        pytest.param("pm_alex", "pt-BR", marks=pytest.mark.acceptance),
        pytest.param("pm_santa", "pt-BR", marks=pytest.mark.acceptance),
    ],
)
def test_trimming_loses_nothing_that_can_be_heard(
    kokoro: KokoroEngine, voice: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cut away carries less than a 100,000th of the energy, soft consonants kept."""
    raw: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []

    def spy(samples: np.ndarray[tuple[int], np.dtype[np.float32]], rate: int) -> Edges:
        raw.append(samples)
        return find_edges(samples, rate)

    monkeypatch.setattr(engine_module, "find_edges", spy)
    for text in SOFT_EDGES:
        chunk = chunk_of(kokoro, text, voice=voice, language=language)
        kept = next(kokoro.synthesize([chunk])).samples
        scale = max(1.0, float(np.abs(raw[-1]).max()))
        lost = np.sum(raw[-1] ** 2) - np.sum((kept * scale) ** 2)
        assert lost / np.sum(raw[-1] ** 2) < 1e-5
        assert len(kept) < len(raw[-1])


@pytest.mark.slow
def test_it_says_when_each_token_and_sentence_sounds(kokoro: KokoroEngine) -> None:
    """Times rise from the first sound to the last, and a sentence begins with the space."""
    chunk = chunk_of(kokoro, *PARAGRAPH)
    speech = next(kokoro.synthesize([chunk]))
    times = speech.token_times
    assert times is not None
    assert len(times) == chunk.tokens
    assert times[0].start <= 0.05
    assert speech.seconds - 0.3 <= times[-1].end <= speech.seconds
    for before, after in itertools.pairwise(times):
        assert before.start <= before.end == after.start
    starts = speech.utterance_starts
    assert starts is not None
    spaces = [-1]
    for text in PARAGRAPH[:-1]:
        spaces.append(spaces[-1] + 1 + len(kokoro.tokens(chunk_of(kokoro, text))))
    assert starts[0] == 0
    assert list(starts[1:]) == [times[space].start for space in spaces[1:]]


@pytest.mark.slow
def test_the_time_before_a_sentence_is_a_pause(kokoro: KokoroEngine) -> None:
    """Where the engine says that a sentence begins, the sound before it is soft or none."""
    speech = next(kokoro.synthesize([chunk_of(kokoro, *PARAGRAPH)]))
    assert speech.utterance_starts is not None
    loud = np.sqrt(np.mean(speech.samples**2))
    for start in speech.utterance_starts[1:]:
        end = round(start * SAMPLE_RATE)
        pause = speech.samples[end - round(0.1 * SAMPLE_RATE) : end]
        assert np.sqrt(np.mean(pause**2)) < 0.2 * loud


class Broken:
    """A runtime whose output is not speech."""

    def __init__(self, output: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        self.output = output

    def run(self, *_arguments: object) -> Spoken:
        """One take, as broken as ever."""
        return Spoken(self.output, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "output",
    [np.full(9000, np.nan, np.float32), np.zeros(9000, np.float32), np.zeros(0, np.float32)],
    ids=["not a number", "silence", "nothing"],
)
def test_output_that_is_not_speech_is_an_error(
    kokoro: KokoroEngine,
    output: np.ndarray[tuple[int], np.dtype[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken take is refused, with the chunk's number."""
    next(kokoro.synthesize([chunk_of(kokoro, "Olá.")]))
    monkeypatch.setattr(kokoro, "_runtime", Broken(output))
    with pytest.raises(SynthesisError) as refused:
        next(kokoro.synthesize([chunk_of(kokoro, "Olá.", index=3)]))
    assert refused.value.chunk == 3


@pytest.mark.slow
def test_a_take_beyond_full_scale_is_turned_down_not_clipped(
    kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shape stays; only its level goes down to full scale."""
    next(kokoro.synthesize([chunk_of(kokoro, "Olá.")]))
    wave = (1.5 * np.sin(np.arange(24_000) / 20)).astype(np.float32)
    monkeypatch.setattr(kokoro, "_runtime", Broken(wave))
    kept = next(kokoro.synthesize([chunk_of(kokoro, "Olá.")])).samples
    assert np.abs(kept).max() == pytest.approx(1.0)
    assert np.mean(np.abs(kept) > 0.999) < 0.05
