"""The openvoice engine beyond what every engine does."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkchannel.errors import EngineUnavailableError, SynthesisError, UnknownVoiceError
from darkchannel.models import Chunk
from darkchannel.speech.openvoice import engine as engine_module
from darkchannel.speech.openvoice import source
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.openvoice.engine import OpenVoiceEngine
from darkchannel.speech.openvoice.voice import ClonedVoice
from darkchannel.speech.tone import ToneEngine
from tests.speech.material import chunk_of
from tests.speech.openvoice.seeded import (
    SMALL,
    VOICES,
    Array,
    cloned,
    fixed,
    small_model,
    small_openvoice,
)

TEXT = "A porta estava aberta."


def take(engine: OpenVoiceEngine, chunk: Chunk) -> Array:
    """Its samples."""
    return next(engine.synthesize([chunk])).samples


def test_a_voice_is_known_by_its_short_name_too() -> None:
    """Either resolves to the full one, in any language."""
    engine = small_openvoice()
    ana = VOICES[0].full_name
    assert engine.resolve_voice("ana", "pt-BR") == ana
    assert engine.resolve_voice(ana, "en") == ana


def test_another_recording_is_another_voice() -> None:
    """Embedding and base change the full name; the language it is the default of does not."""
    ana = cloned("ana", seed=1)
    names = {
        voice.full_name
        for voice in (ana, cloned("ana", seed=2), cloned("bia", seed=1), replace(ana, base="b"))
    }
    assert len(names) == 4
    assert replace(ana, language="en-US").full_name == ana.full_name


def test_a_chunk_of_a_replaced_voice_is_refused() -> None:
    """A plan that names the old recording is not spoken with the new one."""
    old = OpenVoiceEngine(ToneEngine(), SMALL, fixed(cloned("ana", seed=1)))
    new = OpenVoiceEngine(ToneEngine(), SMALL, fixed(cloned("ana", seed=2)))
    with pytest.raises(UnknownVoiceError, match="ana@"):
        next(new.synthesize([chunk_of(old, TEXT)]))
    assert old.fingerprint == new.fingerprint


def test_a_voice_added_meanwhile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that lives for weeks speaks in voices that came later."""
    there: list[ClonedVoice] = []
    engine = OpenVoiceEngine(ToneEngine(), SMALL, lambda: tuple(there))
    assert engine.voices == ()
    there.append(cloned("ana"))
    monkeypatch.setattr(engine_module, "FRESH_SECONDS", 0.0)
    assert engine.resolve_voice("ana", "pt-BR") == VOICES[0].full_name


def test_a_plan_is_spoken_to_the_end_though_its_voice_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old full name is still known where it was met; the short name means the new one."""
    monkeypatch.setattr(engine_module, "FRESH_SECONDS", 0.0)
    there = [cloned("ana", seed=1)]
    engine = OpenVoiceEngine(ToneEngine(), small_model(), lambda: tuple(there))
    chunk = chunk_of(engine, TEXT, voice="ana")
    there[:] = [cloned("ana", seed=2)]
    assert engine.resolve_voice("ana", "pt-BR") == there[0].full_name
    assert len(take(engine, chunk)) > 0
    assert [voice.name for voice in engine.voices] == [there[0].full_name]


def test_without_voices_it_says_how_to_add_one() -> None:
    """The error names the command."""
    with pytest.raises(UnknownVoiceError) as refused:
        OpenVoiceEngine(ToneEngine(), SMALL).resolve_voice(None, "pt-BR")
    assert "voices add" in refused.value.remedy


def test_a_language_without_a_voice_asks_for_one() -> None:
    """No voice of another language is taken in silence, but one asked for speaks."""
    engine = OpenVoiceEngine(ToneEngine(), SMALL, fixed(cloned("ana")))
    with pytest.raises(UnknownVoiceError, match="ana"):
        engine.resolve_voice(None, "en-US")
    assert engine.resolve_voice("ana", "en-US") == VOICES[0].full_name
    with pytest.raises(UnknownVoiceError, match="expected one of ana@"):
        engine.resolve_voice("nobody", "en-US")


def test_the_noise_is_that_of_the_chunk() -> None:
    """The same chunk sounds the same in another engine; another digest differs a little."""
    chunk = chunk_of(small_openvoice(), TEXT)
    first = take(small_openvoice(), chunk)
    assert np.array_equal(first, take(small_openvoice(), chunk))
    other = take(small_openvoice(), replace(chunk, digest="another"))
    assert not np.allclose(first[: len(other)], other[: len(first)], atol=1e-3)


def test_a_voice_can_have_a_base_of_its_own() -> None:
    """What is converted is read by the base voice that was chosen for it."""
    voices = [cloned("ana"), replace(cloned("bia"), base="tone-b")]
    heard: list[str] = []

    class Listening(ToneEngine):
        def synthesize(self, chunks):  # type: ignore[no-untyped-def]
            heard.extend(chunk.voice for chunk in chunks)
            return super().synthesize(chunks)

    engine = OpenVoiceEngine(Listening(), SMALL, fixed(*voices))
    engine._sources = {name: np.ones(16, np.float32) for name in ("tone-a", "tone-b")}
    for name in ("ana", "bia"):
        take(engine, chunk_of(engine, TEXT, voice=name))
    assert heard == ["tone-a", "tone-b"]


def test_times_are_those_of_the_base() -> None:
    """Sentences begin where they begin in what is converted, within what is trimmed."""
    engine = small_openvoice()
    chunk = chunk_of(engine, TEXT, "Ninguém respondeu.")
    base = next(ToneEngine().synthesize([replace(chunk, voice="tone-a")]))
    speech = next(engine.synthesize([chunk]))
    assert base.utterance_starts is not None
    assert speech.utterance_starts is not None
    np.testing.assert_allclose(speech.utterance_starts, base.utterance_starts, atol=0.03)
    assert speech.seconds == pytest.approx(base.seconds, abs=0.05)


def test_speech_of_a_voice_that_is_no_number_is_refused() -> None:
    """An embedding of NaN gives no sound, and the error names the chunk."""
    nothing = ClonedVoice("x", "pt-BR", np.full(16, np.nan, "<f4").tobytes())
    engine = OpenVoiceEngine(ToneEngine(), SMALL, fixed(nothing))
    engine._sources = {"tone-a": np.ones(16, np.float32)}
    with pytest.raises(SynthesisError, match="chunk 1"):
        take(engine, chunk_of(engine, TEXT))


def test_without_the_networks_it_lists_and_resolves() -> None:
    """Only the fingerprint and speaking need them, and say what is missing."""
    engine = OpenVoiceEngine(ToneEngine(), Path("nowhere"), fixed(*VOICES))
    assert len(engine.voices) == 3
    with pytest.raises(EngineUnavailableError, match="nowhere"):
        _ = engine.fingerprint
    with pytest.raises(EngineUnavailableError, match="nowhere"):
        take(engine, chunk_of(engine, TEXT))


def test_the_source_is_computed_once_and_kept(tmp_path: Path) -> None:
    """The second time the base does not speak; a file cut short is computed anew."""
    converter, kept = Converter(SMALL), tmp_path / "sources"
    first = source.embedding(ToneEngine(), "tone-a", converter, kept)

    class Silent(ToneEngine):
        def synthesize(self, chunks):  # type: ignore[no-untyped-def]
            raise AssertionError("the base was asked to speak")

    assert np.array_equal(first, source.embedding(Silent(), "tone-a", converter, kept))
    (file,) = kept.iterdir()
    file.write_bytes(b"cut")
    assert np.array_equal(first, source.embedding(ToneEngine(), "tone-a", converter, kept))
    shutil.rmtree(kept)
    kept.write_text("a file where the folder should be")
    assert np.array_equal(first, source.embedding(ToneEngine(), "tone-a", converter, kept))


def test_what_computes_the_voice_counts() -> None:
    """Takes in bfloat16 are others than in float32; a worker's copy computes as its original."""
    plain, fast = (
        OpenVoiceEngine(ToneEngine(), SMALL, fixed(*VOICES), precision=bits)
        for bits in (None, "bf16")
    )
    assert plain.fingerprint != fast.fingerprint
    assert pickle.loads(pickle.dumps(fast)).fingerprint == fast.fingerprint
