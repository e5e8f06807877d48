"""A MinIO that answers, and refuses: no room, no bucket, no such secret."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import NotFoundError, StoreAccessError
from darkchannel.models import Chunk
from darkchannel.production.pipeline import Production
from darkchannel.production.progress import Progress
from darkchannel.production.request import RenderOptions, RenderRequest
from darkchannel.speech.engine import Speech
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import JobManager, MinIOClient
from tests.faults.conftest import finish
from tests.faults.minio.books import Book, failure
from tests.faults.minio.conftest import Run, environment
from tests.faults.minio.recorder import Recorder, digests
from tests.faults.minio.server import Server
from tests.storage.embedded_processes import s3

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

SENTENCES = 60


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size, in memory."""
    directory.mkdir()
    if os.geteuid() != 0:
        pytest.fail("mounting a small disk needs root", pytrace=False)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(disk: Path) -> Path:
    """Write until there is no room for another page; gives the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    assert shutil.disk_usage(disk).free == 0
    return ballast


def test_a_full_disk_is_named_and_costs_nothing(run: Run, tmp_path: Path) -> None:
    """A job on a full disk says so and ends; given room, the same command completes."""
    book = Book(tmp_path, 30, SENTENCES)
    with small_disk(tmp_path / "disk", 64) as disk, Server(disk) as server:
        client = MinIOClient(server.config)
        client.ensure_buckets()
        with Recorder(client, client.config.buckets.refs) as recorder:
            recorder.wait_for_some()
            process = run(book.command(), server.config)
            book.wait_for_takes(client, 10)
            before = book.takes(client)
            ballast = fill(disk)
            ended = failure(process)
        assert (ended.code, ended.kind) == (1, "StoreFullError")
        assert "no space left" in ended.line
        assert "free disk space" in ended.line
        assert not book.mp3.exists()
        assert before.items() <= book.takes(client).items()
        ballast.unlink()
        result = finish(run(book.command(), server.config))
        assert result["chunks_total"] == SENTENCES
        assert result["chunks_reused"] >= len(before)
        assert before.items() <= book.takes(client).items()
        assert recorder.lost(client) == []
    assert book.is_whole()


def drop_bucket(config: StoreConfig, bucket: str, data_dir: Path) -> None:
    """Delete a bucket with all that is in it at once, as ``mc rb --force`` does."""

    def force(params: dict[str, Any], **_: object) -> None:
        params["headers"]["x-minio-force-delete"] = "true"

    other = s3(environment(config, data_dir))
    other.meta.events.register("before-call.s3.DeleteBucket", force)
    other.delete_bucket(Bucket=bucket)


@contextmanager
def standing_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """A command and its workers, stopped between two writes: none is under way."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        time.sleep(0.5)  # what was under way is answered
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def test_a_deleted_bucket_is_named(server: Server, run: Run, tmp_path: Path) -> None:
    """A job whose bucket somebody deletes names the bucket; set up again, the command completes.

    The takes that lay in the bucket were deleted on purpose; the cache in another has them.
    """
    book = Book(tmp_path, 40, SENTENCES)
    client = MinIOClient(server.config)
    buckets = client.config.buckets
    with Recorder(client, buckets.refs) as recorder:
        recorder.wait_for_some()
        process = run(book.command(), server.config)
        book.wait_for_takes(client, 10)
        with standing_still(process):
            cached = digests(client, buckets.temp)
            drop_bucket(server.config, buckets.jobs, tmp_path / "data")
        ended = failure(process)
        recorder.wait_for_some()
    assert (ended.code, ended.kind) == (1, "NotFoundError")
    assert f"no bucket {buckets.jobs}" in ended.line
    assert "darkchannel store setup" in ended.line
    assert not book.mp3.exists()
    setup = run(["store", "setup"], server.config)
    assert f"bucket {buckets.jobs}" in setup.communicate(timeout=60)[0]
    result = finish(run(book.command(), server.config))
    assert result["chunks_total"] == SENTENCES
    assert result["chunks_reused"] >= len(cached) >= 9
    assert book.is_whole()
    assert cached.items() <= digests(client, buckets.temp).items()
    assert recorder.lost(client) == []


def test_a_bucket_that_came_back_empty_is_a_deleted_job(
    server: Server, run: Run, tmp_path: Path
) -> None:
    """A job that is gone with its bucket's first life says so; the same command makes it anew.

    MinIO makes a deleted bucket again for a write that was under way.
    """
    book = Book(tmp_path, 42, SENTENCES)
    client = MinIOClient(server.config)
    buckets = client.config.buckets
    process = run(book.command(), server.config)
    book.wait_for_takes(client, 10)
    with standing_still(process):
        cached = digests(client, buckets.temp)
        drop_bucket(server.config, buckets.jobs, tmp_path / "data")
        client.create_bucket(buckets.jobs)
    ended = failure(process)
    assert (ended.code, ended.kind) == (1, "LeaseLostError")
    assert f"job {book.job_id} was deleted" in ended.line
    assert "darkchannel store check" in ended.line
    assert not book.mp3.exists()
    result = finish(run(book.command(), server.config))
    assert result["chunks_reused"] >= len(cached) >= 9
    assert book.is_whole()


class SlowEngine(ToneEngine):
    """Speaks its first chunk at once and needs a while for each of the others."""

    def __init__(self) -> None:
        super().__init__()
        self._spoken = 0

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        if self._spoken:
            time.sleep(2)
        self._spoken += 1
        return super().synthesize(chunks)


@pytest.mark.parametrize("stage", ["rendering", "mastering"])
def test_a_deleted_bucket_is_named_whatever_comes_of_it(
    server: Server, tmp_path: Path, stage: str
) -> None:
    """A lost lease and missing takes are not what is told: the bucket they lay in is gone."""
    client = MinIOClient(server.config)
    bucket = client.config.buckets.jobs
    production = Production(
        server.config, client, JobManager(client), SlowEngine, pool=partial(ThreadPoolExecutor, 1)
    )
    text = "\n\n".join(Book(tmp_path, 41, 2).sentences)
    dropped: list[str] = []

    def follow(progress: Progress) -> None:
        if progress.stage == stage and progress.chunks_done and not dropped:
            drop_bucket(server.config, bucket, tmp_path / "data")
            dropped.append(stage)

    with pytest.raises(NotFoundError, match=f"no bucket {bucket}"):
        production.render(
            RenderRequest(data=text.encode(), options=RenderOptions(engine="tone")),
            on_progress=follow,
        )
    assert dropped


def test_a_rotated_secret_is_told_and_renders_nothing_twice(
    server: Server, run: Run, tmp_path: Path
) -> None:
    """Jobs whose secret counts no more say so and end; with the new one nothing is made again."""
    books = [Book(tmp_path, number, SENTENCES) for number in (50, 51)]
    old = server.config
    client = MinIOClient(old)
    with Recorder(client, client.config.buckets.refs) as recorder:
        recorder.wait_for_some()
        processes = [run(book.command(), old) for book in books]
        for book in books:
            book.wait_for_takes(client, 10)
        before = [book.takes(client) for book in books]
        server.rotate_secret()
        endings = [failure(process) for process in processes]
        # Answers to HEAD have no body, and are no less clear.
        with pytest.raises(StoreAccessError, match="SignatureDoesNotMatch"):
            client.exists(client.config.buckets.refs, "anything")
    for ended in endings:
        assert (ended.code, ended.kind) == (4, "StoreAccessError")
        assert "SignatureDoesNotMatch" in ended.line
        assert "MINIO_SECRET_KEY" in ended.line
        assert old.credentials.secret_key not in ended.line
    client = MinIOClient(server.config)
    finished = [book.takes(client) for book in books]
    processes = [run(book.command(), server.config) for book in books]
    results = [finish(process) for process in processes]
    for book, known, made, result in zip(books, before, finished, results, strict=True):
        assert known.items() <= made.items()
        assert (result["chunks_reused"], result["chunks_rendered"]) == (
            len(made),
            SENTENCES - len(made),
        )
        assert made.items() <= book.takes(client).items()
        assert book.is_whole()
    assert recorder.lost(client) == []
