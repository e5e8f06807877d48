"""Webhooks: signed, to public addresses only, tried again, and in nobody's way."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from darkchannel.api.webhooks import Webhooks, is_public
from darkchannel.config import HttpSettings
from darkchannel.errors import InputError, SettingError
from darkchannel.storage import MinIOClient
from tests.api.jobs_api import await_job, running_jobs, text_of

SECRET = "a secret of some length"


class Target(ThreadingHTTPServer):
    """Somebody's server: keeps what it got, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?token=t0p"

    def await_calls(self, count: int) -> None:
        deadline = time.monotonic() + 15
        while len(self.got) < count:
            assert time.monotonic() < deadline, self.got
            time.sleep(0.01)


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), data))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("Location", self.server.url + "&again")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def job(url: str, job_id: str = "a-job") -> dict[str, Any]:
    """Metadata of a job that has ended."""
    return {
        "job_id": job_id,
        "status": "completed",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "chapter_title": "Um",
        "revision": 7,
        "webhook_url": url,
    }


class Results:
    """How deliveries ended."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def __call__(self, job: Any, result: str) -> None:
        self.found.append((job["job_id"], result))

    def wait(self, count: int = 1) -> list[str]:
        deadline = time.monotonic() + 15
        while len(self.found) < count:
            assert time.monotonic() < deadline, self.found
            time.sleep(0.01)
        return [result for _, result in self.found]


def hooks(results: Results, *, private: bool = True, **more: Any) -> Webhooks:
    settings = HttpSettings(webhook_secret=SECRET, webhook_private=private)
    return Webhooks(settings, results, **{"delays": (0.01, 0.01), **more})


def verify(headers: dict[str, str], body: bytes) -> None:
    """What a receiver does, by the documentation alone."""
    parts = dict(part.split("=", 1) for part in headers["DarkChannel-Signature"].split(","))
    message = parts["t"].encode() + b"." + body
    assert parts["v1"] == hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(parts["t"])) < 60


def test_the_end_of_jobs_is_told(
    own_client: MinIOClient, tmp_path: Path, job_id: str, target: Target
) -> None:
    """Once for each job, signed, through the API; and the job says that it was."""
    http: dict[str, Any] = {"webhook_secret": SECRET, "webhook_private": True}
    with running_jobs(own_client, tmp_path, **http) as jobs:
        body = {"text": text_of(job_id), "job_id": job_id, "webhook_url": target.url}
        answer = jobs.client.post("/v1/jobs", json=body)
        assert answer.status_code == 202
        assert "t0p" not in answer.text
        target.await_calls(1)
        deadline = time.monotonic() + 10
        while (found := await_job(jobs, job_id))["webhook"] != "delivered":
            assert time.monotonic() < deadline, found
        assert "t0p" not in jobs.client.get(f"/v1/jobs/{job_id}").text
    assert len(target.got) == 1
    headers, data = target.got[0]
    verify(headers, data)
    told = json.loads(data)
    assert (told["type"], told["job"]["job_id"]) == ("job.completed", job_id)


def test_failures_are_tried_again_and_redirects_are_failures(target: Target) -> None:
    """After a 500 and a redirect, which is not followed, the third attempt arrives."""
    target.statuses = [500, 302]
    results = Results()
    webhooks = hooks(results)
    webhooks.send(job(target.url))
    webhooks.send(job(target.url))  # being told already
    assert results.wait() == ["delivered"]
    assert len(target.got) == 3
    webhooks.stop()


NOT_PUBLIC = [
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
    *("224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fd00::1", "nonsense"),
    *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    """This machine, private networks, link-local, and what wraps one of them."""
    assert not is_public(address)


def test_addresses_that_are_public() -> None:
    """The rest of the internet, by both protocols."""
    for address in ("1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"):
        assert is_public(address)


def test_private_addresses_are_refused(target: Target) -> None:
    """When the address itself is named, at once; when a name points there, when it is sent."""
    results = Results()
    webhooks = hooks(results, private=False)
    with pytest.raises(InputError):
        webhooks.require_allowed("http://127.0.0.1/x")
    for url in ("http://user:secret@example.org/", "ftp://example.org/", "http:///x"):
        with pytest.raises(InputError):
            webhooks.require_allowed(url)
    webhooks.require_allowed("http://example.org/")
    port = target.server_port
    webhooks.send(job(f"http://localhost:{port}/", "named"))
    mixed = hooks(results, private=False, resolve=lambda _host, _port: ["1.1.1.1", "10.0.0.1"])
    mixed.send(job("http://example.org/", "mixed"))
    assert results.wait(2) == ["failed", "failed"]
    assert target.got == []
    with pytest.raises(SettingError):
        Webhooks(HttpSettings()).require_allowed("https://example.org/")


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    """A name that points inside the second time gains nothing: the first answer is used."""
    answers = [["1.1.1.1"], ["127.0.0.1"]]
    connected: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: Any) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    results = Results()
    port = target.server_port
    webhooks = hooks(results, private=False, delays=(), resolve=lambda _host, _port: answers.pop(0))
    webhooks.send(job(f"http://rebinding.example:{port}/"))
    assert results.wait() == ["failed"]
    assert connected == [("1.1.1.1", port)]
    assert answers == [["127.0.0.1"]]


@pytest.mark.parametrize("drips", [False, True])
def test_a_target_that_never_answers_costs_its_time(drips: bool, target: Target) -> None:
    """Silent or slow for ever, it is given up after its time, and others are not held up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = silent.accept()
            with connection:
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"H" if drips else b"")
                    except OSError:
                        return

        threading.Thread(target=drip, daemon=True).start()
        results = Results()
        webhooks = hooks(results, delays=(), attempt_seconds=0.6)
        began = time.monotonic()
        webhooks.send(job(f"http://127.0.0.1:{silent.getsockname()[1]}/", "silent"))
        webhooks.send(job(target.url, "other"))
        assert results.wait(2) == ["delivered", "failed"]
        assert 0.5 < time.monotonic() - began < 5
        stop.set()
        webhooks.stop()
