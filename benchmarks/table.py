"""What a benchmark gives, and how it is printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside its limit: a ratio or a count; a time only where a limit is one.

    Of things that are compared, the figures by their names.
    """

    what: str
    figure: str | Mapping[str, str]
    limit: str
    met: bool

    @property
    def figures(self) -> Mapping[str, str]:
        """By the titles of their columns."""
        return {"figure": self.figure} if isinstance(self.figure, str) else self.figure


def beside(compared: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Put the same rows of several things beside each other, by the things' names."""
    joined = []
    for rows in zip(*compared.values(), strict=True):
        figures = {
            name: f"{row.figure}{'' if row.met else ' (missed)'}"
            for name, row in zip(compared, rows, strict=True)
        }
        joined.append(Row(rows[0].what, figures, rows[0].limit, all(row.met for row in rows)))
    return joined


def machine() -> str:
    """The machine, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    flags = ""
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
        known = next((x for x in lines if x.startswith("flags")), "").split()
        flags = " ".join(f for f in ("amx_bf16", "avx512_vnni", "avx512f", "avx2") if f in known)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores ({flags or 'no vector flags known'}), {platform.platform()}"


def print_table(name: str, rows: Sequence[Row]) -> None:
    """Print a benchmark's rows as a Markdown table."""
    titles = rows[0].figures
    print(f"\n### {name}\n\n| what | {' | '.join(titles)} | limit | |")
    print("|---" * (len(titles) + 3) + "|")
    for row in rows:
        figures = " | ".join(row.figures.values())
        print(f"| {row.what} | {figures} | {row.limit} | {'met' if row.met else 'MISSED'} |")
    print(flush=True)
