"""What a speech service costs beside its bare engine, and whether it loses or keeps anything."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.kokoro_material import LONG
from benchmarks.table import Row
from darkchannel.config import Buckets, Settings, StoreConfig
from darkchannel.engines import engine_spec, fetch_weights
from darkchannel.production.pool import default_workers, speech_workers
from darkchannel.production.request import RenderOptions
from darkchannel.production.speaking import plan_chunk, speak
from darkchannel.storage import MinIOClient
from darkchannel.storage.embedded import embedded_store

CLIENTS = 64
PASSAGE = "A chuva parou antes do amanhecer. " + LONG


@dataclass(frozen=True)
class Counts:
    """How much of each is measured."""

    pairs: int = 12
    requests: int = 2000


def run(counts: Counts | None = None) -> list[Row]:
    """Measure the voice with one client, then tones with 64."""
    some = counts or Counts()
    # The store's server ends a moment after its last user.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with embedded_store(folder, Buckets()) as store:
            MinIOClient(store).ensure_buckets()
            return [*_overhead(store, some.pairs), *_load(store, folder, some.requests)]


def _overhead(store: StoreConfig, pairs: int) -> list[Row]:
    """The same chunk, spoken by a worker alone and by the service, one after the other.

    And how soon the warm service is heard.
    """
    settings = Settings.from_environment()
    fetch_weights(settings, "kokoro")
    # One worker has all cores to itself, in the service as here.
    spec = engine_spec("kokoro", settings, threads=default_workers())
    chunk = plan_chunk(LONG, 1, RenderOptions(), spec())
    ratios = []
    with (
        _service("kokoro", store, settings.data_dir, workers=1) as (http, _),
        speech_workers(1) as bare,
    ):
        bare.submit(speak, spec, chunk).result()
        for index in range(1, pairs + 1):
            began = time.perf_counter()
            bare.submit(speak, spec, chunk).result()
            alone = time.perf_counter() - began
            began = time.perf_counter()
            _ask(http, index, LONG)
            ratios.append((time.perf_counter() - began) / alone)
        heard = statistics.median(_first_audio(http) for _ in range(pairs))
    ratio = statistics.median(ratios)
    what = "speech service : bare engine, one client, median of pairs"
    return [
        Row(what, f"{ratio:.3f}", "1.05", ratio <= 1.05),
        Row("first audio of a warm service, median", f"{heard:.2f} s", "1 s", heard <= 1),
    ]


def _first_audio(http: httpx.Client) -> float:
    """Seconds from asking for a passage to its first sound."""
    body = {"model": "kokoro", "voice": "pf_dora", "input": PASSAGE, "response_format": "pcm"}
    began = time.perf_counter()
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        answer.raise_for_status()
        blocks = answer.iter_bytes()
        next(blocks)
        heard = time.perf_counter() - began
        for _ in blocks:  # what is left would be spoken under the next call
            pass
    return heard


def _load(store: StoreConfig, folder: Path, requests: int) -> list[Row]:
    """Many clients at once: what they get, and what the service keeps of it."""
    with (
        _service("tone", store, folder, workers=2) as (http, process),
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        memory, keys = [], set()
        part = max(1, requests // 8)
        for start in range(0, requests, part):
            numbers = range(10_000 + start, 10_000 + start + part)
            texts = [f"Este é o pedaço número {number}." for number in numbers]
            keys |= set(clients.map(_ask, [http] * part, numbers, texts))
            memory.append(process.memory_info().rss / 1e6)
    lost = part * len(memory) - len(keys)
    grown = memory[-1] - memory[0]
    return [
        Row(f"chunks lost, {CLIENTS} clients at once", str(lost), "0", lost == 0),
        Row(f"memory grown over {requests:,} requests", f"{grown:.1f} MB", "20 MB", grown <= 20),
    ]


def _ask(http: httpx.Client, index: int, text: str) -> str:
    body = {"job_id": "bench", "chunk_index": index, "text": text}
    while True:
        answer = http.post("/synthesize-to-s3", json=body)
        if answer.status_code != 503:  # more than may wait: what Retry-After is for
            return str(answer.raise_for_status().json()["s3_key"])
        time.sleep(0.1)


@contextmanager
def _service(
    engine: str, store: StoreConfig, data_dir: Path, *, workers: int
) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A service of its own process that is ready, and a client of it."""
    environment = {
        **os.environ,
        "DARKCHANNEL_DATA_DIR": str(data_dir),
        "MINIO_ENDPOINT": store.endpoint,
        "MINIO_ACCESS_KEY": store.credentials.access_key,
        "MINIO_SECRET_KEY": store.credentials.secret_key,
    }
    command = [sys.executable, "-m", "darkchannel", "serve", "speech", "--engine", engine]
    command += ["--port", "0", "--workers", str(workers)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=environment, stderr=log) as process,
    ):
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{_port(process, log.fileno())}",
                timeout=120,
                trust_env=False,
                limits=httpx.Limits(max_connections=CLIENTS),
            ) as http:
                while http.get("/readyz").status_code != 200:
                    time.sleep(0.2)
                yield http, psutil.Process(process.pid)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], log: int) -> int:
    while process.poll() is None:
        written = os.pread(log, 1 << 16, 0).decode()
        for line in written.splitlines(keepends=True):
            if '"port"' in line and line.endswith("\n"):
                return int(json.loads(line)["port"])
        time.sleep(0.05)
    raise SystemExit(f"the service ended:\n{os.pread(log, 1 << 16, 0).decode()}")
