"""What every service does with every request."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from darkchannel.api import logs
from darkchannel.api.application import Service, new_app
from darkchannel.api.problems import MEDIA_TYPE
from darkchannel.errors import (
    DarkChannelError,
    JobBusyError,
    JobNotFoundError,
    StoreFullError,
    StoreUnavailableError,
    SynthesisError,
    UnknownVoiceError,
)
from tests.api.running import Running, running_app, settings_in
from tests.storage.embedded_processes import wait_for

LIMIT = 1000
ERRORS: dict[str, tuple[Exception, int]] = {
    "voice": (UnknownVoiceError("no such voice", remedy="did you mean tone-a?"), 422),
    "missing": (JobNotFoundError("no such job"), 404),
    "busy": (JobBusyError("somebody is at it"), 409),
    "store": (StoreUnavailableError("no answer"), 503),
    "full": (StoreFullError("no space"), 507),
    "chunk": (SynthesisError("chunk 7 cannot be spoken", chunk=7), 422),
    "ours": (DarkChannelError("failed"), 500),
}


class Note(BaseModel):
    """What the routes of these tests take."""

    text: str


def app_of(service: Service) -> FastAPI:
    """An application with a route for each error."""
    app = new_app(service, title="Test", description="Test", max_body_bytes=LIMIT)

    @app.post("/notes")
    async def take(note: Note) -> dict[str, int]:
        return {"length": len(note.text)}

    @app.get("/errors/{kind}")
    async def fail(kind: str) -> None:
        logs.bind(job_id="the-job", chunk=7)
        raise ERRORS[kind][0] if kind in ERRORS else RuntimeError("secret inside")

    return app


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = Service.from_settings(settings_in(tmp_path_factory.mktemp("service")))
    with running_app(app_of(service), service) as running:
        yield running


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as it is written."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    logs.configure(stream)
    yield stream
    root.handlers[:], root.level = before, level


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_problem_documents(service: Running, kind: str) -> None:
    """Each kind of error has its status, its sentence, and success: false."""
    error, status = ERRORS[kind]
    answer = service.client.get(f"/errors/{kind}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    document = answer.json()
    assert document["success"] is False
    assert document["status"] == status
    assert document["detail"] == str(error)
    assert document["error"]["type"] == type(error).__name__
    assert document["error"]["message"] == str(error)
    assert document["error"].get("chunk") == getattr(error, "chunk", None)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_an_unexpected_error_says_nothing_of_itself(service: Running, log: io.StringIO) -> None:
    """It is a 500 whose cause, with the ids known, stands in the log alone."""
    answer = service.client.get("/errors/unexpected")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = next(line for line in lines if "exception" in line)
    assert "secret inside" in told["exception"]
    assert told["request_id"] == answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert (told["job_id"], told["chunk"]) == ("the-job", 7)


def test_what_is_not_as_typed_names_the_field(service: Running) -> None:
    """A body of another shape, no JSON and a path unknown are problems too."""
    answer = service.client.post("/notes", json={"txt": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "body.text", "message": "Field required"}]
    broken = service.client.post("/notes", content=b"{", headers={"Content-Type": "text/json"})
    assert broken.status_code == 422
    lost = service.client.get("/nowhere")
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "NotFound")
    assert service.client.delete("/notes").status_code == 405


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_a_body_is_refused(service: Running, announced: bool) -> None:
    """The limit holds whether the length is announced or the body comes in chunks."""
    data = json.dumps({"text": "x" * LIMIT}).encode()
    parts = iter([data[:500], data[500:]])
    headers = {"Content-Type": "application/json"}
    answer = service.client.post("/notes", content=data if announced else parts, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["success"] is False
    small = json.dumps({"text": "é"}).encode()
    assert service.client.post("/notes", content=iter([small]), headers=headers).json() == {
        "length": 1
    }


def test_answers_carry_the_headers_of_a_careful_service(service: Running) -> None:
    """No sniffing, no storing, no other site's pages, no server's name; the caller's own id."""
    answer = service.client.get(
        "/healthz", headers={"X-Request-ID": "mine-1", "Origin": "http://x"}
    )
    assert answer.json() == {"status": "ok"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert "Server" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]
    odd = service.client.get("/healthz", headers={"X-Request-ID": "a b"})
    assert odd.headers["X-Request-ID"] != "a b"


def test_without_keys_only_a_loopback_address_is_answered(service: Running) -> None:
    """A name that some web page let point to this machine gets nothing but health."""
    elsewhere = {"Host": "evil.example"}
    assert service.client.get("/metrics", headers=elsewhere).status_code == 421
    assert service.client.get("/healthz", headers=elsewhere).status_code == 200
    for host in ("localhost:1", "[::1]:8000", "127.0.0.1"):
        assert service.client.get("/metrics", headers={"Host": host}).status_code == 200


def test_requests_are_counted_and_logged(service: Running, log: io.StringIO) -> None:
    """By route, not by path, and without what stands after the question mark."""
    query = "X-Amz-Signature=abcdef&token=t0p"
    service.client.get(f"/errors/missing?{query}", headers={"Authorization": "Bearer s3cret"})
    # The line is written when the answer is out.
    assert wait_for(lambda: "/errors/missing" in log.getvalue(), 5)
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["path"], line["status"], line["job_id"]) == ("/errors/missing", 404, "the-job")
    assert not any(secret in log.getvalue() for secret in ("abcdef", "t0p", "s3cret"))
    numbers = service.client.get("/metrics").text
    assert 'darkchannel_http_requests_total{method="GET",route="/errors/{kind}",status="404"}' in (
        numbers
    )


def test_the_openapi_document_names_problems(service: Running) -> None:
    """What the middlewares answer stands in the document, and FastAPI's own errors do not."""
    document = service.client.get("/openapi.json").json()
    answers = document["paths"]["/notes"]["post"]["responses"]
    assert {"200", "401", "413", "422", "429", "503"} <= set(answers)
    assert list(answers["422"]["content"]) == [MEDIA_TYPE]
    assert "HTTPValidationError" not in json.dumps(document)


def test_garbage_is_survived(service: Running) -> None:
    """What is no HTTP at all gets a 400, and the service goes on."""
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 0), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in raw.recv(200)
    assert service.client.get("/healthz").status_code == 200


def test_secrets_never_reach_a_line(log: io.StringIO) -> None:
    """Links lose their query, headers their key, whoever logs them and wherever."""
    link = "http://s3/b/k?X-Amz-Algorithm=A&X-Amz-Credential=me&X-Amz-Signature=abcdef"
    logger = logging.getLogger("somebody.else")
    logger.warning("got %s with Authorization: Bearer s3cret", link)
    try:
        raise ValueError(f"no dck_abc-DEF and no {link}")
    except ValueError:
        logger.exception("failed", extra={"fields": {"link": link}})
    text = log.getvalue()
    assert "http://s3/b/k?[signature]" in text
    assert not any(secret in text for secret in ("abcdef", "s3cret", "dck_abc", "Credential"))
    assert all(json.loads(line)["time"].endswith("Z") for line in text.splitlines())


def test_a_stopping_service_refuses_new_work(tmp_path: Path) -> None:
    """Once stopping, requests get 503 with Retry-After, but health is still told."""
    service = Service.from_settings(settings_in(tmp_path))
    with running_app(app_of(service), service) as running:
        service.drain.under_way += 1  # somebody's work goes on
        running.server.stop()
        answer = running.client.post("/notes", json={"text": "x"})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert running.client.get("/healthz").status_code == 200
        service.drain.under_way -= 1
