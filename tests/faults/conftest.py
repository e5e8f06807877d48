"""Real processes that are really killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(data_dir: Path, tmp_path: Path) -> Start:
    """Starts ``darkchannel`` in a session of its own, on a data directory of its own."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MINIO_", "DARKCHANNEL_"))
    }

    def run(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "darkchannel", *arguments],
            cwd=tmp_path,
            env=env | {"DARKCHANNEL_DATA_DIR": str(data_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return run


def finish(process: subprocess.Popen[str], *, timeout: float = 120) -> dict[str, Any]:
    """Wait for ``render --json`` to succeed, and give its result."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    """Wait until a process says that it has come so far."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            return
    pytest.fail(f"{process.args!r} ended without saying {beginning!r}")
