"""Reference voices on a real store: kept, found again, computed anew only where needed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.wav import encode_wav
from darkchannel.errors import (
    EngineUnavailableError,
    InputError,
    InvalidKeyError,
    StoreAccessError,
    UnknownLanguageError,
    UnknownVoiceError,
)
from darkchannel.production.references import References, read_file
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import MinIOClient
from tests.speech.openvoice.seeded import RATE, SMALL, voiced

ANA = encode_wav(voiced(6, 210, 2), RATE)
RUI = encode_wav(voiced(6, 110, 1), RATE)


def small_converter() -> Converter:
    return Converter(SMALL)


@pytest.fixture
def references(client: MinIOClient) -> Iterator[References]:
    """Of a bucket of their own."""
    bucket = f"refs-{uuid.uuid4().hex[:12]}"
    client.create_bucket(bucket)
    yield References(client, bucket, small_converter, ToneEngine)
    client.delete_many(bucket, [info.key for info in client.list(bucket)])
    client.delete_bucket(bucket)


def test_a_voice_is_kept_and_found_again(references: References) -> None:
    """What is read back is what was added, without computing it again."""
    ana = references.add("ana", ANA, filename="a.wav", language="pt")
    rui = references.add("rui", RUI, filename="r.wav", language="en-us", base="tone-b")
    assert (ana.language, ana.base) == ("pt-BR", None)
    assert (rui.language, rui.base) == ("en-US", "tone-b")
    assert not np.allclose(ana.vector, rui.vector, atol=1e-3)

    class Deaf(Converter):
        def embed(self, samples):  # type: ignore[no-untyped-def]
            raise AssertionError("it was computed again")

    again = replace(references, converter=lambda: Deaf(SMALL))
    assert again.read() == ([ana, rui], [])


def test_a_recording_put_there_by_hand_is_a_voice(references: References) -> None:
    """Its embedding is computed when it is first read, and kept beside it."""
    references.client.put(references.bucket, "voices/hand.wav", ANA)
    references.client.put(references.bucket, "voices/not a name.wav", ANA)
    references.client.put(references.bucket, "voices/deeper/hand.wav", ANA)
    (voice,), problems = references.read()
    assert (voice.name, voice.language, problems) == ("hand", "pt-BR", [])
    assert references.client.exists(references.bucket, "voices/hand.json")


@pytest.mark.parametrize("card", [b"", b"[]", b"{}", b'{"embedding": 5}', None])
def test_another_recording_under_the_name_is_another_voice(
    references: References, card: bytes | None
) -> None:
    """Replaced by hand, or with a card nobody can read, it is computed anew."""
    before = references.add("ana", ANA, filename="a.wav")
    references.client.put(references.bucket, "voices/ana.wav", RUI)
    if card is not None:
        references.client.put(references.bucket, "voices/ana.json", card)
    (after,), _problems = references.read()
    assert after.full_name != before.full_name
    assert references.read()[0] == [after]


def test_another_model_computes_anew(references: References) -> None:
    """A card of another model is not used; what a person chose is kept."""
    voice = references.add("ana", ANA, filename="a.wav", language="en-US", base="tone-b")
    card = json.loads(references.client.get(references.bucket, "voices/ana.json").data)
    card |= {"model": "0" * 64, "embedding": "AAAA"}
    references.client.put(references.bucket, "voices/ana.json", json.dumps(card).encode())
    assert references.read()[0] == [voice]


def test_a_bad_recording_keeps_no_other_voice_from_speaking(references: References) -> None:
    """It is named with its reason; the others are there."""
    good = references.add("ana", ANA, filename="a.wav")
    references.client.put(references.bucket, "voices/bad.wav", b"%PDF-1.7")
    voices, problems = references.read()
    assert voices == [good]
    assert len(problems) == 1
    assert "bad.wav is a PDF" in problems[0]


def test_what_is_known_is_not_read_again(
    references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look costs one listing, until a recording changes; a bad one stays bad."""
    references.add("ana", ANA, filename="a.wav")
    references.client.put(references.bucket, "voices/bad.wav", b"%PDF-1.7")
    first = references.read()

    def no_get(*_arguments: object, **_options: object) -> object:
        raise AssertionError("it was read again")

    with monkeypatch.context() as patched:
        patched.setattr(MinIOClient, "get", no_get)
        assert references.read() == first
    references.client.put(references.bucket, "voices/ana.wav", RUI)
    assert references.read()[0] != first[0]


def test_a_name_is_taken_once(references: References) -> None:
    """A second recording is refused unless it shall replace the first."""
    first = references.add("ana", ANA, filename="a.wav")
    with pytest.raises(InputError, match="there is a voice ana already"):
        references.add("ana", RUI, filename="r.wav")
    assert references.read()[0] == [first]
    second = references.add("ana", RUI, filename="r.wav", replace=True)
    assert references.read()[0] == [second]
    assert first.full_name != second.full_name


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "a@b", "1a", "x" * 41, "ã"])
def test_names_that_are_no_names_are_refused(references: References, name: str) -> None:
    """Nothing is written, and nothing can be removed by them."""
    with pytest.raises(InvalidKeyError):
        references.add(name, ANA, filename="a.wav")
    with pytest.raises(InvalidKeyError):
        references.remove(name)
    assert references.read() == ([], [])


def test_what_the_base_does_not_have_is_refused(references: References) -> None:
    """Neither a language nor a base voice is made up, and nothing is written."""
    with pytest.raises(UnknownLanguageError):
        references.add("ana", ANA, filename="a.wav", language="tlh")
    with pytest.raises(UnknownVoiceError):
        references.add("ana", ANA, filename="a.wav", base="nobody")
    assert references.read() == ([], [])


def test_without_the_model_nothing_is_written(references: References, tmp_path: Path) -> None:
    """Adding says what to do; reading asks for the model only where there are voices."""
    without = replace(references, converter=lambda: Converter(tmp_path))
    with pytest.raises(EngineUnavailableError, match="OpenVoice"):
        without.add("ana", ANA, filename="a.wav")
    assert without.read() == ([], [])


def test_who_may_only_read_can_still_speak(
    references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service whose key must not write computes the embedding and goes on."""
    references.client.put(references.bucket, "voices/hand.wav", ANA)

    def refused(*_arguments: object, **_options: object) -> str:
        raise StoreAccessError("this key may not write")

    monkeypatch.setattr(MinIOClient, "put", refused)
    assert [voice.name for voice in references.read()[0]] == ["hand"]


def test_a_voice_is_removed_with_all_of_it(references: References) -> None:
    """Recording and card go; a name nobody has is refused with those there are."""
    references.add("ana", ANA, filename="a.wav")
    with pytest.raises(UnknownVoiceError, match="there are ana"):
        references.remove("anna")
    references.remove("ana")
    assert list(references.client.list(references.bucket)) == []


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(InputError, match="nowhere"):
        read_file(tmp_path / "nowhere.wav")
