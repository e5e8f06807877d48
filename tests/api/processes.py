"""Services as processes of their own, found by what they log."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """The address of a service, which ends with the context."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stderr=output) as process,
    ):
        try:
            yield _address(process, log)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            told = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if "port" in told:
                return f"http://127.0.0.1:{told['port']}"
        time.sleep(0.05)
    raise RuntimeError(log.read_text()[-2000:])
