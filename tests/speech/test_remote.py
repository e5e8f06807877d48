"""Speech services as an engine: several, of which some refuse, die, or sound different."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkchannel.api.keys import KeyFile
from darkchannel.config import Credentials, Settings, StoreConfig
from darkchannel.engines import engine_spec
from darkchannel.errors import (
    EngineUnavailableError,
    SettingError,
    SynthesisError,
    UnknownVoiceError,
)
from darkchannel.speech import replicas
from darkchannel.speech.remote import RemoteEngine
from darkchannel.speech.replicas import located
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import MinIOClient
from tests.api.speakers import Gate, running_speech
from tests.speech.material import chunk_of, utterance

NOWHERE = StoreConfig("http://127.0.0.1:9", Credentials("none", "none"))
SHORT = "A porta estava aberta."


@pytest.fixture
def client() -> MinIOClient:
    """Of no store: an engine needs none."""
    return MinIOClient(NOWHERE)


@contextmanager
def service_that(answers: Any, status: int = 200) -> Iterator[str]:
    """A server that answers everything with the same JSON (or bytes)."""
    data = answers if isinstance(answers, bytes) else json.dumps(answers).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815 - as the library calls them

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def speak(engine: RemoteEngine) -> None:
    """One chunk comes out as the tone engine itself makes it."""
    chunk = chunk_of(ToneEngine(), SHORT)
    here = next(ToneEngine().synthesize([chunk]))
    there = next(engine.synthesize([chunk]))
    np.testing.assert_allclose(there.samples, here.samples, atol=1e-4)
    assert there.utterance_starts == here.utterance_starts


def test_a_name_with_several_addresses_is_several_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each address of the family that comes first, under the name; loopback and https stay."""
    stream = socket.SOCK_STREAM

    def resolved(host: str, port: int, **_options: object) -> list[Any]:
        if host == "localhost":
            return [(socket.AF_INET6, stream, 6, "", ("::1", port, 0, 0))]
        if host == "nowhere":
            raise OSError("no such name")
        four = [(socket.AF_INET, stream, 6, "", (f"10.0.0.{n}", port)) for n in (1, 2, 1)]
        return [*four, (socket.AF_INET6, stream, 6, "", ("fd00::1", port, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert located("http://kokoro:8001") == [
        ("http://10.0.0.1:8001", "kokoro"),
        ("http://10.0.0.2:8001", "kokoro"),
    ]
    for same in (
        "http://localhost:8001",
        "http://nowhere:8001",
        "http://10.0.0.9:8001",
        "http://[fd00::9]:8001",
        "https://kokoro",
    ):
        assert located(same) == [(same, None)]


def test_services_come_and_go_behind_a_name(
    client: MinIOClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one is found while the first is used, and speaks when the first is gone."""
    monkeypatch.setattr(replicas, "LOCATED_SECONDS", 0.0)
    with running_speech(client, tmp_path / "b") as second:
        with running_speech(client, tmp_path / "a") as first:
            there = [(first.url, None)]
            monkeypatch.setattr(replicas, "located", lambda _name: there)
            engine = RemoteEngine(["http://kokoro:8001"])
            assert engine.workers == 2
            there.append((second.url, None))
            assert engine.workers == 4
        speak(engine)
        engine.close()


def test_one_that_is_gone_is_passed_over(client: MinIOClient, tmp_path: Path) -> None:
    """With a replica that does not listen and one that answers nonsense, all chunks are spoken."""
    with (
        running_speech(client, tmp_path) as running,
        service_that(b"<html>") as nonsense,
        service_that({"error": {"type": "EngineBusyError", "message": "full"}}, 503) as full,
    ):
        engine = RemoteEngine(["http://127.0.0.1:9", nonsense, full, running.url], patience=5)
        for _ in range(5):
            speak(engine)
        assert engine.workers == 3 + 2
        assert engine.fingerprint == ToneEngine().fingerprint


def test_one_that_dies_is_replaced_by_another(client: MinIOClient, tmp_path: Path) -> None:
    """A service that ends in the middle of a book costs nothing but a moment."""
    with running_speech(client, tmp_path / "b") as stays:
        with running_speech(client, tmp_path / "a") as goes:
            engine = RemoteEngine([goes.url, stays.url], patience=5)
            speak(engine)
        for _ in range(4):
            speak(engine)


def test_one_that_sounds_different_is_not_used(client: MinIOClient, tmp_path: Path) -> None:
    """A replica with another fingerprint would make a book of two voices."""
    with running_speech(client, tmp_path) as running:
        facts = running.client.get("/engine").json()
        with service_that(facts | {"fingerprint": "other"}) as other:
            engine = RemoteEngine([running.url, other], patience=0)
            assert engine.fingerprint == "tone-1"
            for _ in range(6):
                speak(engine)
    with service_that(facts) as liar, pytest.raises(SynthesisError, match="no speech"):
        speak(RemoteEngine([liar], patience=0))


def test_what_is_wrong_with_a_chunk_is_said_as_by_the_engine(
    client: MinIOClient, tmp_path: Path
) -> None:
    """The service's error is raised here, of the same kind, with its chunk and remedy."""
    with running_speech(client, tmp_path) as running:
        engine = RemoteEngine([running.url], patience=5)
        chunk = chunk_of(ToneEngine(), "palavra " * 80, index=7)
        with pytest.raises(SynthesisError, match="chunk 7") as refused:
            next(engine.synthesize([chunk]))
        assert refused.value.chunk == 7
        assert refused.value.remedy
        with pytest.raises(UnknownVoiceError, match="tone-a"):
            next(engine.synthesize([replace(chunk_of(ToneEngine(), SHORT), voice="nobody")]))


def test_when_none_answers_each_is_named() -> None:
    """Patience has an end, and the error says what is wrong with which."""
    engine = RemoteEngine(["http://127.0.0.1:9"], patience=0.3)
    with pytest.raises(EngineUnavailableError, match=r"127\.0\.0\.1:9: ConnectError"):
        engine.count_tokens(utterance(SHORT))


def test_a_full_line_is_waited_for(client: MinIOClient, tmp_path: Path) -> None:
    """While the service refuses, the engine tries again, and speaks in the end."""
    gate = Gate(free=1)
    with running_speech(client, tmp_path, make_engine=gate, workers=1, queue=1) as running:
        gate.await_begun(1)
        engines = [RemoteEngine([running.url], patience=20) for _ in range(4)]
        threads = [threading.Thread(target=speak, args=[engine]) for engine in engines]
        for thread in threads:
            thread.start()
        gate.await_begun(2)
        threading.Event().wait(0.5)
        gate.opened.set()
        for thread in threads:
            thread.join(20)
        assert len(gate.begun) == 5


def test_a_key_is_shown_and_never_told(client: MinIOClient, tmp_path: Path) -> None:
    """With the key of the settings the service answers; without it the error says what to do."""
    key = KeyFile(tmp_path / "api-keys").add("renderer")
    with running_speech(client, tmp_path) as running:
        with pytest.raises(EngineUnavailableError, match="key"):
            next(RemoteEngine([running.url]).synthesize([chunk_of(ToneEngine(), SHORT)]))
        environment = {"DARKCHANNEL_DATA_DIR": str(tmp_path), "DARKCHANNEL_SPEECH_KEY": key}
        spec = engine_spec(running.url, Settings.from_environment(environment))
        assert key not in repr(spec)
        made = spec()
        assert made.count_tokens(utterance(SHORT)) == len(SHORT)
        assert made.name == running.url


@pytest.mark.parametrize(
    "name",
    [
        "ftp://host",
        "http://",
        "file:///etc/passwd",
        "http://user:secret@host",
        "http://host/?token=secret",
        "http://a,b://c",
        "http://[",
        "http://host:99999",
    ],
)
def test_what_is_no_address_is_refused(name: str) -> None:
    """Only http and https, without a password or a query in them, which would be kept and told."""
    with pytest.raises(SettingError) as refused:
        engine_spec(name, Settings(data_dir=Path("unused")))
    assert "secret" not in str(refused.value)
