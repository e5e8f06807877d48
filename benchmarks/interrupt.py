"""How long a command takes to end after Ctrl-C, in each stage and with a store that hangs."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.storage.embedded_processes import server

from benchmarks.table import Row
from benchmarks.texts import chapter

LIMIT_SECONDS = 2.0
TIMES = 5


@dataclass(frozen=True)
class Case:
    """When to interrupt what."""

    name: str
    engine: str
    stage: str
    hang: bool = False


CASES = (
    Case("rendering speech", "kokoro", "rendering"),
    Case("mastering", "tone", "mastering"),
    Case("rendering, the store hangs", "tone", "rendering", hang=True),
)


def run() -> list[Row]:
    """Interrupt renders and time their ends."""
    rows = []
    for case in CASES:
        seconds = [_interrupted(case) for _ in range(TIMES)]
        worst = max(seconds)
        figure = f"{statistics.median(seconds):.2f} s, at most {worst:.2f} s"
        rows.append(Row(f"Ctrl-C to the end: {case.name}", figure, "2 s", worst <= LIMIT_SECONDS))
    return rows


def _interrupted(case: Case) -> float:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "chapter.txt").write_text(uuid.uuid4().hex + ".\n\n" + chapter(60), "utf-8")
        environment = dict(os.environ)
        if case.hang:  # a store of its own: others may be using the usual one
            environment["DARKCHANNEL_DATA_DIR"] = str(directory / "data")
        process = subprocess.Popen(
            [sys.executable, "-m", "darkchannel", "render", "chapter.txt", "--engine", case.engine],
            cwd=directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(case.stage):
                break
        time.sleep(2)
        if case.hang:
            server(directory / "data").suspend()
        try:
            time.sleep(1)
            return _time_to_end(process)
        finally:
            if case.hang:
                server(directory / "data").kill()


def _time_to_end(process: subprocess.Popen[str]) -> float:
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate()
    if process.returncode != 3:
        raise SystemExit(f"expected the exit code of a cancelled run, got {process.returncode}")
    return time.perf_counter() - began
