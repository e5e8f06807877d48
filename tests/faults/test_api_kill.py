"""The jobs API killed at any moment: started again, every book becomes complete."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from darkchannel.config import Buckets
from darkchannel.storage import MinIOClient
from darkchannel.storage.embedded import embedded_store
from tests.faults.conftest import Start
from tests.production.test_pipeline import hear
from tests.servers import free_ports

SEED = 6_2026


def sentences(book: int, count: int) -> list[str]:
    return [f"Livro {book}, frase {number}." for number in range(1, count + 1)]


def listening(start: Start, port: int) -> tuple[subprocess.Popen[str], httpx.Client]:
    """An API that answers."""
    process = start("serve", "api", "--engine", "tone", "--port", str(port))
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)
    deadline = time.monotonic() + 60
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                return process, client
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(str(process.communicate()[1])[-2000:])
        time.sleep(0.05)


def all_of(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {job["job_id"]: job for job in client.get("/v1/jobs").json()["jobs"]}


def survive(start: Start, data_dir: Path, folder: Path, *, books: int, kills: int) -> None:
    """Ask for books, kill the API that often, and hear every book when they are complete."""
    moments, count = random.Random(SEED), 40
    (port,) = free_ports(1)
    with embedded_store(data_dir, Buckets()) as config:
        store = MinIOClient(config)
        process, client = listening(start, port)
        for book in range(books):
            body = {"text": "\n\n".join(sentences(book, count)), "job_id": f"book-{book}"}
            assert client.post("/v1/jobs", json=body).status_code == 202
        takes: dict[str, object] = {}
        for _ in range(kills):
            time.sleep(moments.uniform(0.1, 2.0))
            process.kill()
            process.communicate()
            for book in range(books):
                for info in store.list(config.buckets.jobs, f"book-{book}/chunks/"):
                    takes.setdefault(info.key, info.last_modified)
            process, client = listening(start, port)
        deadline = time.monotonic() + 300
        found = all_of(client)
        while [job for job in found.values() if job["status"] != "completed"]:
            assert time.monotonic() < deadline, found
            assert not [job for job in found.values() if job["status"] == "failed"], found
            time.sleep(0.5)
            found = all_of(client)
        process.terminate()
        assert process.wait(30) == 0
        process.communicate()
        assert len(found) == books
        now: dict[str, object] = {}
        for book in range(books):
            job = found[f"book-{book}"]
            assert job["chunks_completed"] == job["chunks_total"] == count
            for info in store.list(config.buckets.jobs, f"book-{book}/chunks/"):
                now[info.key] = info.last_modified
            mp3 = folder / f"{book}.mp3"
            store.download_file(config.buckets.output, job["output_key"], mp3)
            assert hear(mp3) == sentences(book, count)
        assert len(now) == books * count
        assert {key: now[key] for key in takes} == takes  # no take was made twice


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_kills(start: Start, data_dir: Path, tmp_path: Path) -> None:
    """Two books, two kills: complete, each chunk once, none rendered twice."""
    survive(start, data_dir, tmp_path, books=2, kills=2)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_twenty_kills_during_ten_jobs(start: Start, data_dir: Path, tmp_path: Path) -> None:
    """Ten books, twenty kills at random moments: complete, each chunk once."""
    survive(start, data_dir, tmp_path, books=10, kills=20)


@pytest.mark.slow
def test_others_are_not_let_in_without_a_key(start: Start) -> None:
    """Off loopback it refuses to start, with exit code 2 and what to do."""
    process = start("serve", "api", "--engine", "tone", "--host", "0.0.0.0", "--port", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "darkchannel keys add" in err
