"""Answers of a MinIO that break off on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkchannel.storage import MinIOClient
from tests.faults.conftest import finish
from tests.faults.minio.books import Book, failure
from tests.faults.minio.conftest import Run
from tests.faults.minio.recorder import Recorder
from tests.faults.minio.server import Server
from tests.faults.minio.truncation import ALWAYS, truncating

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def test_answers_cut_short_are_taken_up_again(server: Server, run: Run, tmp_path: Path) -> None:
    """Thirty reads of takes that break off in the middle leave no trace in the book."""
    book = Book(tmp_path, 70, 40)
    with truncating(server.config, times=30) as (config, fault):
        result = finish(run(book.command(), config))
        assert fault.cut == 30
    assert result["chunks_total"] == 40
    assert book.is_whole()


def test_answers_always_cut_short_end_a_job_clearly(
    server: Server, run: Run, tmp_path: Path
) -> None:
    """A job that cannot read its takes back gives up in time; the path mended, it completes."""
    book = Book(tmp_path, 71, 10)
    client = MinIOClient(server.config)
    with (
        Recorder(client, client.config.buckets.refs) as recorder,
        truncating(server.config, times=ALWAYS) as (config, fault),
    ):
        ended = failure(run(book.command(), config), timeout=100)
        assert (ended.code, ended.kind) == (4, "StoreUnavailableError")
        assert "broke off its answer" in ended.line
        assert "proxy" in ended.line
        assert not book.mp3.exists()
        before = book.takes(client)
        assert len(before) == 10
        fault.times = 0
        result = finish(run(book.command(), config))
    assert (result["chunks_rendered"], result["chunks_reused"]) == (0, 10)
    assert book.is_whole()
    assert before == book.takes(client)
    assert recorder.lost(client) == []
