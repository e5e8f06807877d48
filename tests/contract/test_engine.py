"""What every speech engine does, whichever it is."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from darkchannel.errors import SynthesisError, UnknownLanguageError, UnknownVoiceError
from darkchannel.models import Utterance
from darkchannel.speech.engine import Engine, Speech
from darkchannel.speech.remote import RemoteEngine
from darkchannel.speech.tone import ToneEngine
from tests.api.processes import served
from tests.speech.material import chunk_of, utterance
from tests.speech.openvoice.seeded import small_openvoice
from tests.speech.real_kokoro import real_kokoro

ENGINES: dict[str, Callable[[], Engine]] = {
    "tone": ToneEngine,
    "openvoice": small_openvoice,
    "kokoro": real_kokoro,
    "kokoro on onnxruntime": partial(real_kokoro, "onnxruntime"),
    "kokoro on openvino": partial(real_kokoro, "openvino"),
}

SHORT = "A porta estava aberta."
LONGER = "Ninguém respondeu, e o vento levou a voz dela pela rua abaixo."


@pytest.fixture(
    params=[
        "tone",
        "remote",
        "openvoice",
        pytest.param("kokoro", marks=pytest.mark.slow),
        # What they share with the other runtime is shown by that one in `make test`.
        pytest.param("kokoro on onnxruntime", marks=pytest.mark.acceptance),
        pytest.param("kokoro on openvino", marks=pytest.mark.acceptance),
    ]
)
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other."""
    if request.param == "remote":
        return RemoteEngine([request.getfixturevalue("tone_service")], patience=10)
    return ENGINES[request.param]()


@pytest.fixture(scope="module")
def tone_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real service process that speaks tones, on no store at all."""
    folder = tmp_path_factory.mktemp("service")
    environment = {
        **os.environ,
        "DARKCHANNEL_DATA_DIR": str(folder),
        "MINIO_ENDPOINT": "http://127.0.0.1:9",
        "MINIO_ACCESS_KEY": "none",
        "MINIO_SECRET_KEY": "none",
    }
    command = [sys.executable, "-m", "darkchannel", "serve", "speech", "--engine", "tone"]
    with served([*command, "--port", "0"], environment, folder / "log") as url:
        yield url


def speak(engine: Engine, *texts: str, speed: float = 1.0) -> Speech:
    """One chunk of Portuguese."""
    return next(engine.synthesize([chunk_of(engine, *texts, speed=speed)]))


def silence_at_edges(speech: Speech) -> tuple[float, float]:
    """Seconds before and after what is within 60 dB of the loudest sample."""
    sounding = np.flatnonzero(np.abs(speech.samples) > 1e-3 * np.abs(speech.samples).max())
    after = len(speech.samples) - 1 - sounding[-1]
    return sounding[0] / speech.sample_rate, after / speech.sample_rate


def test_it_is_an_engine(engine: Engine) -> None:
    """It has all that the protocol names."""
    assert isinstance(engine, Engine)
    assert engine.name
    assert engine.fingerprint
    assert engine.max_tokens >= 200


def test_voices_are_sorted_and_unique(engine: Engine) -> None:
    """Voices come by language and name, each once, in Portuguese and English at least."""
    keys = [(voice.language, voice.name) for voice in engine.voices]
    assert keys == sorted(keys)
    assert len({voice.name for voice in engine.voices}) == len(keys)
    assert {"pt-BR", "en-US"} <= {language for language, _name in keys}


@pytest.mark.parametrize("language", ["pt-BR", "en-US", "pt", "en"])
def test_every_language_has_a_default_voice(engine: Engine, language: str) -> None:
    """Without a voice the engine chooses one made for the language."""
    name = engine.resolve_voice(None, language)
    made_for = {voice.name: voice.language for voice in engine.voices}
    assert made_for[name].startswith(language[:2])
    assert engine.resolve_voice(name, language) == name


def test_an_unknown_voice_lists_the_choices_and_the_nearest(engine: Engine) -> None:
    """A misspelt voice is refused, never replaced."""
    right = engine.resolve_voice(None, "pt-BR")
    with pytest.raises(UnknownVoiceError) as refused:
        engine.resolve_voice(f"{right}x", "pt-BR")
    assert all(v.name in refused.value.message for v in engine.voices if v.language == "pt-BR")
    assert right in refused.value.remedy


def test_an_unknown_language_lists_the_choices(engine: Engine) -> None:
    """A language the engine does not speak is refused by all that take one."""
    with pytest.raises(UnknownLanguageError, match="pt-BR"):
        engine.resolve_voice(None, "tlh")
    with pytest.raises(UnknownLanguageError, match="pt-BR"):
        engine.count_tokens(utterance(SHORT, "tlh"))


def test_a_longer_utterance_has_more_tokens(engine: Engine) -> None:
    """Counts are positive and grow with the text."""
    assert 0 < engine.count_tokens(utterance(SHORT)) < engine.count_tokens(utterance(LONGER))


@pytest.mark.parametrize("text", ["", " ", "…", "— !"])
def test_nothing_to_say_has_no_tokens(engine: Engine, text: str) -> None:
    """Punctuation alone counts zero, so that planning leaves it out."""
    assert engine.count_tokens(utterance(text)) == 0


def test_speech_is_mono_float_sound_within_range(engine: Engine) -> None:
    """Samples are float32 in one dimension, within [-1, 1], neither silent nor broken."""
    speech = speak(engine, SHORT)
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert speech.sample_rate == engine.sample_rate
    assert np.abs(speech.samples).max() <= 1.0
    assert np.sqrt(np.mean(speech.samples**2)) > 0.01


def test_speech_begins_and_ends_with_sound(engine: Engine) -> None:
    """At most 20 ms of silence stand at either edge."""
    before, after = silence_at_edges(speak(engine, LONGER))
    assert before <= 0.02
    assert after <= 0.02


def test_the_same_chunk_sounds_the_same(engine: Engine) -> None:
    """Two takes of one chunk are equal, or a cache of takes could not work."""
    first, second = speak(engine, SHORT), speak(engine, SHORT)
    np.testing.assert_allclose(first.samples, second.samples, atol=1e-4)


def test_chunks_come_back_in_order_each_as_if_alone(engine: Engine) -> None:
    """A batch gives what the chunks would give one by one."""
    texts = (LONGER, SHORT)
    batch = [chunk_of(engine, text, index=index) for index, text in enumerate(texts, start=1)]
    spoken = list(engine.synthesize(batch))
    assert len(spoken) == len(texts)
    for speech, text in zip(spoken, texts, strict=True):
        np.testing.assert_allclose(speech.samples, speak(engine, text).samples, atol=1e-4)


def test_no_chunks_give_no_speech(engine: Engine) -> None:
    """An empty batch is no error."""
    assert list(engine.synthesize([])) == []


def test_utterances_of_a_chunk_are_spoken_one_after_the_other(engine: Engine) -> None:
    """A chunk of two utterances lasts about as long as both, and their starts are in order."""
    both = speak(engine, SHORT, LONGER)
    alone = speak(engine, SHORT).seconds + speak(engine, LONGER).seconds
    assert both.seconds == pytest.approx(alone, rel=0.35)
    if both.utterance_starts is not None:
        assert len(both.utterance_starts) == 2
        assert 0 <= both.utterance_starts[0] < both.utterance_starts[1] < both.seconds


def test_twice_the_speed_takes_about_half_the_time(engine: Engine) -> None:
    """Speed shortens the speech, and half of it lengthens it."""
    normal = speak(engine, LONGER).seconds
    assert speak(engine, LONGER, speed=2.0).seconds == pytest.approx(normal / 2, rel=0.25)
    assert speak(engine, LONGER, speed=0.5).seconds == pytest.approx(normal * 2, rel=0.25)


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.1, 1000.0, float("nan"), float("inf")])
def test_an_absurd_speed_is_refused(engine: Engine, speed: float) -> None:
    """The error names the chunk and what was expected."""
    with pytest.raises(SynthesisError, match="chunk 1 has speed") as refused:
        speak(engine, SHORT, speed=speed)
    assert refused.value.chunk == 1


def long_text(engine: Engine, tokens: int) -> str:
    """Words with at least that many tokens."""
    words = ["pa"]
    while engine.count_tokens(utterance(" ".join(words))) < tokens:
        words.append("pa")
    return " ".join(words)


def test_a_chunk_beyond_the_limit_is_refused_not_cut(engine: Engine) -> None:
    """The error names the chunk, its count and the limit."""
    text = long_text(engine, engine.max_tokens + 1)
    with pytest.raises(SynthesisError, match=str(engine.max_tokens)) as refused:
        next(engine.synthesize([chunk_of(engine, text, index=7)]))
    assert refused.value.chunk == 7


def test_the_limit_counts_the_spaces_between_utterances(engine: Engine) -> None:
    """Utterances that fit only without the token between them are refused."""
    text = long_text(engine, engine.max_tokens // 2)
    chunk = chunk_of(engine, text, text)
    assert chunk.tokens == 2 * engine.count_tokens(utterance(text)) + 1
    assert chunk.tokens > engine.max_tokens
    with pytest.raises(SynthesisError):
        next(engine.synthesize([chunk]))


def test_a_chunk_with_nothing_to_say_is_refused(engine: Engine) -> None:
    """Silence is never a take."""
    with pytest.raises(SynthesisError, match="chunk 1"):
        speak(engine, "…")


def test_an_unknown_voice_is_refused_when_speaking_too(engine: Engine) -> None:
    """A plan that names a voice the engine does not have is refused."""
    from dataclasses import replace

    chunk = replace(chunk_of(engine, SHORT), voice="nobody")
    with pytest.raises(UnknownVoiceError):
        next(engine.synthesize([chunk]))


def test_what_was_loaded_ahead_speaks_the_same(engine: Engine) -> None:
    """Loading is the first chunk's work done earlier, however often it is asked for."""
    engine.load()
    engine.load()
    before = speak(engine, SHORT)
    engine.close()
    np.testing.assert_allclose(speak(engine, SHORT).samples, before.samples, atol=1e-4)


def test_an_engine_works_again_after_it_was_closed(engine: Engine) -> None:
    """Closing frees the memory; the next chunk brings everything back."""
    before = speak(engine, SHORT)
    engine.close()
    engine.close()
    np.testing.assert_allclose(speak(engine, SHORT).samples, before.samples, atol=1e-4)


def test_an_engine_travels_to_another_process(engine: Engine) -> None:
    """A pickled engine, used or not, is the same engine on the other side."""
    speak(engine, SHORT)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.fingerprint == engine.fingerprint
    assert copy.count_tokens(utterance(LONGER)) == engine.count_tokens(utterance(LONGER))
    copy.close()


def test_another_voice_sounds_different(engine: Engine) -> None:
    """The voice of the chunk is the one that is heard."""
    names = [voice.name for voice in engine.voices if voice.language == "pt-BR"][:2]
    takes = [
        next(engine.synthesize([chunk_of(engine, SHORT, voice=name)])).samples for name in names
    ]
    assert len(takes[0]) != len(takes[1]) or not np.allclose(takes[0], takes[1], atol=1e-3)


def test_a_mixed_language_utterance_counts_in_its_own_language(engine: Engine) -> None:
    """Counting uses the utterance's language, whatever its case."""
    same = Utterance("The end.", "The end.", "EN-us")
    assert engine.count_tokens(same) == engine.count_tokens(utterance("The end.", "en-US"))
