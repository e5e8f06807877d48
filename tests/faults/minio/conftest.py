"""A real MinIO and real commands on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from tests.faults.minio.server import Server

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A MinIO with its buckets."""
    directory = tmp_path / "minio"
    directory.mkdir()
    with Server(directory) as server:
        MinIOClient(server.config).ensure_buckets()
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts ``darkchannel`` on a store; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(arguments: list[str], config: StoreConfig, **further: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "darkchannel", *arguments],
            cwd=tmp_path,
            env=environment(config, tmp_path / "data") | further,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def environment(config: StoreConfig, data_dir: Path) -> dict[str, str]:
    """What a command needs to know of a store, and nothing that this machine says of another."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MINIO_", "DARKCHANNEL_"))
    }
    return inherited | {
        "DARKCHANNEL_DATA_DIR": str(data_dir),
        "MINIO_ENDPOINT": config.endpoint,
        "MINIO_ACCESS_KEY": config.credentials.access_key,
        "MINIO_SECRET_KEY": config.credentials.secret_key,
        "MINIO_REGION": config.region,
    }
