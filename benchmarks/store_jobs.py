"""What an API client sees of the store while ten jobs run on it."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.commands import render_command
from benchmarks.store_process import child
from benchmarks.store_timing import milliseconds, percentile, seconds
from benchmarks.table import Row
from darkchannel.config import StoreConfig
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.embedded import environment
from darkchannel.storage.keys import job_prefix, metadata_key

JOBS = 10
PERIOD_SECONDS = 0.05
LIMIT_SECONDS = 0.1
URGENT = -20


def latency_beside_jobs(store: StoreConfig, sentences: int) -> list[Row]:
    """Two clients ask 20 times a second until the first of ten jobs ends.

    One of them is an ordinary process among the renders.  The other goes before all of them,
    so that it does not wait for a core itself: what it sees is the server's share.
    """
    with (
        child(_ask, store, 0) as ordinary,
        child(_ask, store, URGENT) as urgent,
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(JOBS) as threads,
    ):
        pipes = (ordinary, urgent)
        for pipe in pipes:
            pipe.recv()  # it is ready
        books = [_write_book(Path(folder), sentences) for _ in range(JOBS)]
        jobs = [threads.submit(_render, book, store) for book in books]
        for pipe in pipes:
            pipe.send("go")
        wait(jobs, return_when=FIRST_COMPLETED)
        for pipe in pipes:
            pipe.send("stop")
        seen, seen_first = (pipe.recv() for pipe in pipes)
        for job in jobs:
            job.result()
    what = f"API while {JOBS} jobs run: p50, p95, p99"
    met = percentile(seen, 99) < LIMIT_SECONDS
    first = milliseconds(seen_first, 50, 95, 99) if seen_first else "needs root"
    return [
        Row(what, f"{milliseconds(seen, 50, 95, 99)} of {len(seen)}", "p99 < 100 ms", met),
        Row(f"the same of a client at priority {URGENT}", first, "", True),
    ]


def _write_book(folder: Path, sentences: int) -> Path:
    book = folder / f"{uuid.uuid4().hex}.txt"
    lines = (f"Livro {book.stem[:8]}, frase {number}." for number in range(1, sentences + 1))
    book.write_text("\n\n".join(lines), encoding="utf-8")
    return book


def _render(book: Path, store: StoreConfig) -> None:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
    done = subprocess.run(
        render_command(book, "--engine", "tone", "--no-cache", "--workers", "1"),
        env=settings | environment(store),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"a render failed:\n{done.stderr[-2000:]}")


def _ask(store: StoreConfig, priority: int, pipe: Connection) -> None:
    """Send the latencies of calls made from "go" to "stop"; none without the priority."""
    client = MinIOClient(store)
    verbs = _verbs(client, JobManager(client).create_job("Benchmark", "Nada."))
    for verb in verbs:
        verb()  # connects
    allowed = _prioritised(priority)
    pipe.send("ready")
    pipe.recv()
    latencies: list[float] = []
    due = time.perf_counter()
    for verb in itertools.cycle(verbs):
        if pipe.poll(max(0.0, due - time.perf_counter()) if allowed else None):
            break
        latencies.append(seconds(verb))
        due = max(due + PERIOD_SECONDS, time.perf_counter())
    pipe.send(latencies)


def _verbs(client: MinIOClient, job_id: str) -> list[Callable[[], object]]:
    bucket, metadata, note = client.config.buckets.jobs, metadata_key(job_id), os.urandom(1024)
    return [
        lambda: client.put(bucket, f"{job_prefix(job_id)}note", note),
        lambda: client.get(bucket, metadata),
        lambda: client.head(bucket, metadata),
        lambda: list(client.list(bucket, job_prefix(job_id))),
    ]


def _prioritised(priority: int) -> bool:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, priority)
    except PermissionError:
        return False
    return True
