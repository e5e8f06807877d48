"""The command line as users run it: a process of its own, with a data directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darkchannel.config import Buckets, StoreConfig
from darkchannel.storage import MinIOClient
from darkchannel.storage.embedded import embedded_store

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def shared_store(data_dir: Path) -> Iterator[StoreConfig]:
    """Keeps the embedded store up, so that each command need not start it anew."""
    with embedded_store(data_dir, Buckets()) as config:
        MinIOClient(config).ensure_buckets()
        yield config


@pytest.fixture(scope="session")
def environment(data_dir: Path) -> dict[str, str]:
    """The environment of a user who has set nothing but where data goes."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MINIO_", "DARKCHANNEL_"))
    }
    return env | {"DARKCHANNEL_DATA_DIR": str(data_dir)}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs ``darkchannel`` in an empty folder and gives what came of it."""

    def run_command(
        *arguments: str, stdin: bytes | str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "darkchannel", *arguments],
            cwd=tmp_path,
            env=environment | (env or {}),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run_command
