"""A MinIO that is killed or stopped dead while jobs run, and comes back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from darkchannel.storage import MinIOClient
from tests.faults.conftest import finish
from tests.faults.minio.books import Book
from tests.faults.minio.conftest import Run
from tests.faults.minio.recorder import Recorder
from tests.faults.minio.server import Server

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

JOBS = 10
ABSENT_SECONDS = 3.0
SUSPENDED_SECONDS = 20.0


def test_ten_jobs_outlive_a_server_that_is_killed(server: Server, run: Run, tmp_path: Path) -> None:
    """Ten jobs at once wait for a server killed under them; no book lacks or repeats a sentence."""
    books = [Book(tmp_path, number, 40) for number in range(JOBS)]
    client = MinIOClient(server.config)
    with Recorder(client, client.config.buckets.refs) as recorder:
        recorder.wait_for_some()
        processes = [run(book.command(), server.config) for book in books]
        for book in books:
            book.wait_for_takes(client, 2)
        before = [book.takes(client) for book in books]
        assert [process.poll() for process in processes] == [None] * JOBS
        server.kill()
        time.sleep(ABSENT_SECONDS)
        server.start()
        results = [finish(process, timeout=180) for process in processes]
        recorder.wait_for_some()
    assert [result["chunks_rendered"] for result in results] == [40] * JOBS
    assert [book.number for book in books if not book.is_whole()] == []
    for book, known in zip(books, before, strict=True):
        assert known
        assert known.items() <= book.takes(client).items()
    assert recorder.lost(client) == []


def test_a_job_waits_for_a_server_that_is_stopped_dead(
    server: Server, run: Run, tmp_path: Path
) -> None:
    """Twenty seconds without an answer, connections open, cost a job nothing but the time."""
    book = Book(tmp_path, 20, 60)
    client = MinIOClient(server.config)
    with Recorder(client, client.config.buckets.refs) as recorder:
        recorder.wait_for_some()
        process = run(book.command(), server.config)
        book.wait_for_takes(client, 10)
        before = book.takes(client)
        server.suspend()
        time.sleep(SUSPENDED_SECONDS)
        assert process.poll() is None
        server.resume()
        result = finish(process)
        recorder.wait_for_some()
    assert result["chunks_rendered"] == 60
    assert book.is_whole()
    assert before.items() <= book.takes(client).items()
    assert recorder.lost(client) == []
