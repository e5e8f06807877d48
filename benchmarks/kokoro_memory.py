"""Memory of a whole command that speaks with two workers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil

from benchmarks.commands import render_command
from benchmarks.kokoro_material import row, with_runtime
from benchmarks.table import Row
from benchmarks.texts import chapter
from darkchannel.speech.kokoro.runtime import choose, usable

WORKERS = 2
MOST_GB = 1.0

_EVERY_SECONDS = 0.2


def memory(minutes: float) -> list[Row]:
    """Render a text with each runtime, and watch all processes of the command.

    Args:
        minutes: of speech.
    """
    usual = choose(None).runtime
    peaks = {name: _peak(name, chapter(minutes)) for name in usable()}
    return [
        row(
            f"memory at its peak, {WORKERS} workers and all others",
            {name: f"{peak:.2f} GB" for name, peak in peaks.items()},
            f"{usual} {MOST_GB} GB",
            met=peaks[usual] <= MOST_GB,
        )
    ]


def _peak(name: str, text: str) -> float:
    """The largest sum over the processes in GB, of their own memory and their shares."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        source = Path(folder) / "chapter.txt"
        source.write_text(text, encoding="utf-8")
        options = ("--no-cache", "--job-id", f"bench-{uuid.uuid4().hex}")
        command = render_command(source, "--workers", str(WORKERS), *options)
        peak = 0
        with subprocess.Popen(
            with_runtime(name, command), stdout=subprocess.DEVNULL, stderr=said
        ) as process:
            parent = psutil.Process(process.pid)
            while process.poll() is None:
                peak = max(peak, _together(parent))
                time.sleep(_EVERY_SECONDS)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read().decode()}")
    return peak / 1e9


def _together(parent: psutil.Process) -> int:
    """Bytes of a process and all below it: what two share counts half for each."""
    total = 0
    try:
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has just ended
    return total
