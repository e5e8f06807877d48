"""A jobs API of tones on the real store, and what tests do with it."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkchannel.api.application import Service
from darkchannel.api.jobs import jobs_app
from darkchannel.production.pipeline import Production
from darkchannel.production.pool import speech_threads
from darkchannel.production.runner import JobsParts
from darkchannel.production.sharing import SharedPool
from darkchannel.production.worker import EngineFactory
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import JobManager, MinIOClient
from tests.api.running import Running, running_app, settings_in


@contextmanager
def running_jobs(
    client: MinIOClient, folder: Path, *, make_engine: EngineFactory = ToneEngine, **http: object
) -> Iterator[Running]:
    """A jobs API with two workers."""
    service = Service.from_settings(settings_in(folder, **http))
    make_pool = functools.partial(speech_threads, 2)
    pool = SharedPool(make_pool, 2)
    production = Production(client.config, client, JobManager(client), make_engine, make_pool)
    try:
        app = jobs_app(service, JobsParts("tone", production, production, pool))
        with running_app(app, service) as running:
            yield running
    finally:
        pool.close()


def text_of(name: str, sentences: int = 2) -> str:
    """Each sentence makes a chunk, and none is said by another test."""
    return "\n\n".join(f"Frase {number} de {name}." for number in range(1, sentences + 1))


def await_job(running: Running, job_id: str, *wanted: str, seconds: float = 30) -> dict[str, Any]:
    """Wait until a job has come so far."""
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = running.client.get(f"/v1/jobs/{job_id}").json()
        if job.get("status") in (wanted or ("completed",)):
            return job
        assert job.get("status") != "failed", job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def events_of(running: Running, job_id: str, last: str | None = None) -> list[dict[str, str]]:
    """All events of a job until its stream ends; the fields of each."""
    headers = {} if last is None else {"Last-Event-ID": last}
    found: list[dict[str, str]] = []
    with running.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        answer.read()
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append(fields)
    return found
