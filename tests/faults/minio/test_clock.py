"""A machine whose clock is not the store's.

MinIO is a static program, whose clock nobody can change from outside; so it is the command's
clock that is set wrong.  It is the difference that S3 judges.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darkchannel.storage import MinIOClient
from darkchannel.storage.keys import metadata_key
from darkchannel.storage.state import seconds_of
from tests.faults.conftest import finish
from tests.faults.minio.books import Book, failure
from tests.faults.minio.conftest import Run
from tests.faults.minio.recorder import Recorder, digests
from tests.faults.minio.server import Server

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

LEASE_SECONDS = 30

SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""
"""libfaketime (0.9.10) refuses every sleep to a moment of a clock that it does not fake."""


def clock_ahead(directory: Path, seconds: int) -> dict[str, str]:
    """Environment of a process whose clock is that far ahead; its timers stay right."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.fail("libfaketime is missing: apt-get install libfaketime", pytrace=False)
    (directory / "sitecustomize.py").write_text(SLEEP)
    path = [str(directory), *filter(None, [os.environ.get("PYTHONPATH")])]
    fake = {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"+{seconds}s",
        # Python waits for locks until a moment of this clock: it would wait that much longer.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join(path),
    }
    now = subprocess.run(
        [sys.executable, "-c", "import time; time.sleep(0.01); print(time.time())"],
        env=fake,
        capture_output=True,
        check=True,
    ).stdout
    assert float(now) - time.time() == pytest.approx(seconds, abs=30)
    return fake


def test_a_clock_two_hours_ahead_is_named(server: Server, run: Run, tmp_path: Path) -> None:
    """A skew that the store refuses is told with its remedy, and nothing is half-written."""
    book = Book(tmp_path, 60, 20)
    client = MinIOClient(server.config)
    buckets = client.config.buckets
    with Recorder(client, buckets.refs) as recorder:
        recorder.wait_for_some()
        ended = failure(run(book.command(), server.config, **clock_ahead(tmp_path, 2 * 3600)))
        recorder.wait_for_some()
    assert (ended.code, ended.kind) == (4, "StoreAccessError")
    assert "clock" in ended.line
    assert "NTP" in ended.line
    assert not book.mp3.exists()
    for bucket in (buckets.jobs, buckets.output, buckets.temp):
        assert digests(client, bucket) == {}
    assert finish(run(book.command(), server.config))["chunks_total"] == 20
    assert book.is_whole()
    assert recorder.lost(client) == []


def test_a_clock_five_minutes_ahead_does_no_harm(server: Server, run: Run, tmp_path: Path) -> None:
    """A skew that the store tolerates changes nothing: leases and dates are by its own clock."""
    book = Book(tmp_path, 61, 60)
    client = MinIOClient(server.config)
    key = metadata_key(book.job_id)
    process = run(book.command(), server.config, **clock_ahead(tmp_path, 300))
    book.wait_for_takes(client, 10)
    job = json.loads(client.get(client.config.buckets.jobs, key).data)
    assert 0 < job["lease"]["expires_at"] - time.time() < LEASE_SECONDS + 5
    assert abs(seconds_of(job["updated_at"]) - time.time()) < LEASE_SECONDS
    assert finish(process)["chunks_total"] == 60
    assert book.is_whole()
    job = json.loads(client.get(client.config.buckets.jobs, key).data)
    assert abs(seconds_of(job["completed_at"]) - time.time()) < LEASE_SECONDS
