"""Ten jobs at once through the jobs API, against one of the same chunks; its answers meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.table import Row
from benchmarks.texts import EXAMPLE
from darkchannel.config import Settings

JOBS = 10
CHUNKS = {"tone": 100, "kokoro": 30}
"""Of each job."""

MOST_RATIO = 1.05
MOST_TONE_RATIO = 1.5
"""With tones ten books' mastering is most of the work."""
MOST_P99_SECONDS = 0.1


def run() -> list[Row]:
    """Measure with tones, where bookkeeping is all there is, and with the real voice."""
    return [row for engine, chunks in CHUNKS.items() for row in measure(engine, chunks)]


def measure(engine: str, chunks: int) -> list[Row]:
    """Ten jobs of so many chunks each, and one job of them all."""
    with _folder() as folder, _api(engine, folder) as port:
        api = _Api(port)
        first = api.book(range(1))
        api.finish([first])  # the voice is loaded, and there is something to link to
        every = range(JOBS * chunks)
        # Questions cost the same in both: what is left is that there are ten jobs.
        with api.asked(first):
            alone = api.time_of([every])
        with api.asked(first) as latencies:
            together = api.time_of([every[start::JOBS] for start in range(JOBS)])
    ratio = together / alone
    limit = MOST_RATIO if engine != "tone" else MOST_TONE_RATIO
    rows = [
        Row(
            f"{engine}: ten jobs at once : one job of the same {JOBS * chunks} chunks",
            f"{ratio:.2f} ({together:.1f} s : {alone:.1f} s)",
            f"{limit}",
            ratio <= limit,
        )
    ]
    if engine == "tone":
        return rows  # far more chunks a second than any voice: only their sum counts
    for what, seconds in latencies.items():
        found = sorted(seconds)
        p50, p95, p99 = (found[min(len(found) - 1, len(found) * p // 100)] for p in (50, 95, 99))
        shown = f"{p50 * 1000:.0f}, {p95 * 1000:.0f}, {p99 * 1000:.0f} ms of {len(found)}"
        rows.append(
            Row(
                f"{engine}: {what} meanwhile, p50, p95, p99",
                shown,
                "p99 100 ms",
                p99 <= MOST_P99_SECONDS,
            )
        )
    return rows


class _Api:
    """What is asked of the API; each thread has its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """A request and its JSON."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        found = json.loads(answer.read())
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {found}")
        return found

    def book(self, chunks: range) -> str:
        """Ask for a book of some of the chunks, rendered anew whatever was rendered before."""
        job_id = f"bench-{uuid.uuid4().hex[:12]}"
        body = {"job_id": job_id, "text": _text(chunks), "use_cache": False}
        self.call("POST", "/v1/jobs", body)
        return job_id

    def finish(self, names: list[str]) -> None:
        """Wait until jobs are completed."""
        for name in names:
            while (job := self.call("GET", f"/v1/jobs/{name}"))["status"] != "completed":
                if job["status"] == "failed":
                    raise SystemExit(f"{job}")
                time.sleep(0.1)
            if job["chunks_completed"] != job["chunks_total"]:
                raise SystemExit(f"not complete: {job}")

    def time_of(self, books: list[range]) -> float:
        """Seconds from the first request to the last book."""
        began = time.perf_counter()
        self.finish([self.book(chunks) for chunks in books])
        return time.perf_counter() - began

    @contextmanager
    def asked(self, done: str) -> Iterator[dict[str, list[float]]]:
        """Ask for status, list and link over and over, and note how long each takes."""
        paths = {
            "status": f"/v1/jobs/{done}",
            "list": "/v1/jobs?limit=20",
            "link": f"/v1/jobs/{done}/download-url",
        }
        latencies: dict[str, list[float]] = {what: [] for what in paths}
        stop = threading.Event()

        def ask() -> None:
            api = _Api(self._port)
            for what, path in itertools.cycle(paths.items()):
                if stop.wait(0.05):
                    return
                began = time.perf_counter()
                api.call("GET", path)
                latencies[what].append(time.perf_counter() - began)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield latencies
        finally:
            stop.set()
            thread.join()


@contextmanager
def _folder() -> Iterator[Path]:
    """A data directory with the usual weights and a store of its own.

    An API goes on with whatever jobs it finds, such as those of a benchmark that was stopped.
    """
    usual = Settings.from_environment().data_dir
    # The embedded store goes on for some seconds after whoever used it last.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        (Path(name) / "models").symlink_to(usual / "models")
        yield Path(name)


@contextmanager
def _api(engine: str, folder: Path) -> Iterator[int]:
    """A jobs API that is ready, on a port of its own."""
    command = [sys.executable, "-m", "darkchannel", "serve", "api", "--engine", engine]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DARKCHANNEL_DATA_DIR": str(folder)},
    )
    try:
        port = None
        for line in process.stderr or ():
            port = json.loads(line).get("port") if line.startswith("{") else None
            if port is not None:
                break
        if port is None:
            raise SystemExit("the API did not start")
        threading.Thread(target=lambda: list(process.stderr or ()), daemon=True).start()
        while True:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def _text(chunks: range) -> str:
    """Paragraphs of prose, each a chunk: those of one number say the same in every book."""
    prose = [p for p in EXAMPLE.read_text(encoding="utf-8").split("\n\n") if len(p) > 80]
    lines = (
        f"Parte {number}. {prose[number % len(prose)][:75].rpartition(' ')[0]}."
        for number in chunks
    )
    return "\n\n".join(lines)
