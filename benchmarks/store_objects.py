"""Objects of one size up and down: 10 MB, 1 KiB, and 1 MiB from many threads."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.store_plain_http import PlainHTTP, plain_http
from benchmarks.store_timing import milliseconds, percentile, seconds
from benchmarks.table import Row
from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from darkchannel.storage.transfer import file_sha256

LARGE = 10 * 2**20
LIMIT_SECONDS = 1.0
SMALL = 2**10
MEDIUM = 2**20
THREADS = (1, 2, 4, 8, 16)


def large_objects(store: StoreConfig, times: int) -> list[Row]:
    """10 MB up and down as the product does it, each in turn with the same by plain HTTP."""
    client = MinIOClient(store)
    client.ping()  # connects
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sink").mkdir()
        with plain_http(folder / "sink") as plain:
            rounds = [_round(client, plain, folder) for _ in range(times)]
    rows = []
    for way, (ours, theirs) in (("up", (0, 1)), ("down", (2, 3))):
        taken = [times[ours] for times in rounds]
        ratio = statistics.median(times[ours] / times[theirs] for times in rounds)
        met = percentile(taken, 95) < LIMIT_SECONDS
        rows += [
            Row(f"10 MB {way}: p50, p95", milliseconds(taken, 50, 95), "p95 < 1 s", met),
            Row(f"10 MB {way} : the same by plain HTTP, p50", f"{ratio:.1f}", "", True),
        ]
    return rows


def _round(client: MinIOClient, plain: PlainHTTP, folder: Path) -> tuple[float, ...]:
    """Seconds up by the store and by plain HTTP, and down by the store and by plain HTTP."""
    source, ours, theirs = folder / "source", folder / "ours", folder / "theirs"
    source.write_bytes(os.urandom(LARGE))
    bucket, key = client.config.buckets.temp, "benchmark/10mb"
    times = (
        seconds(client.upload_file, source, bucket, key),
        seconds(plain.upload, source, "10mb"),
        seconds(client.download_file, bucket, key, ours),
        seconds(plain.download, "10mb", theirs),
    )
    if not file_sha256(source) == file_sha256(ours) == file_sha256(theirs):
        raise SystemExit("what came down is not what went up")
    # Every round makes everything anew.
    client.delete(bucket, key)
    for path in (ours, theirs, folder / "sink" / "10mb"):
        path.unlink()
    return times


def small_objects(store: StoreConfig, times: int) -> list[Row]:
    """1 KiB put, got and looked up."""
    client, bucket, data = MinIOClient(store), store.buckets.temp, os.urandom(SMALL)
    client.ping()  # connects
    puts, gets, heads = [], [], []
    names = [f"benchmark/small-{number}" for number in range(times)]
    for key in names:
        puts.append(seconds(client.put, bucket, key, data))
        gets.append(seconds(client.get, bucket, key))
        heads.append(seconds(client.head, bucket, key))
    client.delete_many(bucket, names)
    return [
        Row(f"1 KiB {verb}: p50, p95, p99", milliseconds(taken, 50, 95, 99), "", True)
        for verb, taken in (("put", puts), ("get", gets), ("head", heads))
    ]


def throughput(store: StoreConfig, count: int) -> list[Row]:
    """1 MiB objects up and down by several threads of one process."""
    client, bucket, data = MinIOClient(store), store.buckets.temp, os.urandom(MEDIUM)
    client.ping()  # connects
    names = [f"benchmark/medium-{number}" for number in range(count)]
    rows = []
    for threads in THREADS:
        up = _rate(threads, lambda key: client.put(bucket, key, data), names)
        down = _rate(threads, lambda key: client.get(bucket, key).info, names)
        client.delete_many(bucket, names)
        what = f"1 MiB objects up, down: {threads} thread{'s' if threads > 1 else ''}"
        rows.append(Row(what, f"{up:.0f}, {down:.0f} MB/s", "", True))
    return rows


def _rate(threads: int, move: Callable[[str], object], names: list[str]) -> float:
    """Megabytes a second."""
    with ThreadPoolExecutor(threads) as executor:
        taken = seconds(lambda: list(executor.map(move, names)))
    return len(names) * MEDIUM / 1e6 / taken
