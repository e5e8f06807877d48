"""What a benchmark gives, and how it is printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside its limit: a ratio or a count, never a bare time."""

    what: str
    figure: str
    limit: str
    met: bool


def machine() -> str:
    """The machine, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    flags = ""
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
        known = next((x for x in lines if x.startswith("flags")), "").split()
        flags = " ".join(f for f in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if f in known)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores ({flags or 'no vector flags known'}), {platform.platform()}"


def print_table(name: str, rows: Sequence[Row]) -> None:
    """Print a benchmark's rows as a Markdown table."""
    print(f"\n### {name}\n\n| what | figure | limit | |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.figure} | {row.limit} | {'met' if row.met else 'MISSED'} |")
    print(flush=True)
