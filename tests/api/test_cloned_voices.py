"""Services that speak in cloned voices, which come and go while they run."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkchannel.errors import UnknownVoiceError
from darkchannel.production.references import References
from darkchannel.speech import remote
from darkchannel.speech.openvoice import engine as openvoice
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.openvoice.engine import OpenVoiceEngine
from darkchannel.speech.remote import RemoteEngine
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import MinIOClient
from tests.api.running import Running
from tests.api.speakers import chunk_request, running_speech
from tests.production.test_references import ANA, RUI
from tests.speech.material import chunk_of
from tests.speech.openvoice.seeded import SMALL, small_model

PATH = "/synthesize-to-s3"


@pytest.fixture
def references(client: MinIOClient) -> Iterator[References]:
    """Of a bucket of their own."""
    bucket = f"refs-{uuid.uuid4().hex[:12]}"
    client.create_bucket(bucket)
    yield References(client, bucket, functools.partial(Converter, SMALL), ToneEngine)
    client.delete_many(bucket, [info.key for info in client.list(bucket)])
    client.delete_bucket(bucket)


@pytest.fixture
def service(
    client: MinIOClient,
    references: References,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Running]:
    """A speech service with the voices of that bucket, which it looks at each time."""
    monkeypatch.setattr(openvoice, "FRESH_SECONDS", 0.0)

    def make_engine() -> OpenVoiceEngine:
        return OpenVoiceEngine(ToneEngine(), small_model(), lambda: references.read()[0])

    with running_speech(client, tmp_path, make_engine=make_engine, workers=1) as running:
        yield running


def test_a_service_without_voices_is_ready_and_says_what_is_missing(
    service: Running, job_id: str
) -> None:
    """Nobody was cloned yet: a request is refused with the command that clones."""
    assert service.client.get("/voices").json() == []
    refused = service.client.post(PATH, json=chunk_request(job_id))
    assert refused.status_code == 422
    assert "voices add" in refused.json()["remedy"]


def test_a_recording_added_meanwhile_speaks(
    service: Running, references: References, job_id: str
) -> None:
    """By its name as a reference or as a voice: the very same take."""
    references.add("ana", ANA, filename="a.wav")
    spoken = service.client.post(PATH, json=chunk_request(job_id, reference="ana"))
    assert spoken.status_code == 200, spoken.text
    again = service.client.post(PATH, json=chunk_request(job_id, voice="ana"))
    assert again.json() == spoken.json() | {"reused": True}


def test_a_replaced_recording_is_another_voice(
    service: Running, references: References, job_id: str
) -> None:
    """Under the same chunk it is a conflict, as any other voice."""
    references.add("ana", ANA, filename="a.wav")
    assert service.client.post(PATH, json=chunk_request(job_id, voice="ana")).status_code == 200
    references.add("ana", RUI, filename="r.wav", replace=True)
    assert service.client.post(PATH, json=chunk_request(job_id, voice="ana")).status_code == 409


def test_the_engine_elsewhere_knows_them_too(
    service: Running, references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RemoteEngine resolves short names, speaks, and learns of later voices."""
    monkeypatch.setattr(remote, "FRESH_SECONDS", 0.0)
    engine = RemoteEngine([service.url])
    with pytest.raises(UnknownVoiceError):
        engine.resolve_voice("ana", "pt-BR")
    ana = references.add("ana", ANA, filename="a.wav")
    assert engine.resolve_voice("ana", "en") == ana.full_name
    assert [voice.name for voice in engine.voices] == [ana.full_name]
    speech = next(engine.synthesize([chunk_of(engine, "A porta estava aberta.", voice="ana")]))
    assert speech.seconds > 0.5
    engine.close()
