"""The Kokoro voice's runtimes side by side: fidelity, speed, scaling, memory, arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.kokoro_fidelity import fidelity
from benchmarks.kokoro_material import LONG, SENTENCES, ready
from benchmarks.kokoro_memory import memory
from benchmarks.kokoro_roofline import roofline
from benchmarks.kokoro_speed import scaling, speed
from benchmarks.table import Row


@dataclass(frozen=True)
class Counts:
    """How much of each is measured."""

    pairs: int = len(SENTENCES)
    rounds: int = 5
    minutes: float = 4.0
    text: str = LONG


def run(counts: Counts | None = None) -> list[Row]:
    """Measure one thing after the other."""
    some = counts or Counts()
    data_dir = ready().data_dir
    return [
        *fidelity(data_dir, some.pairs),
        *speed(data_dir, some.text, some.rounds),
        *scaling(data_dir, some.text, some.rounds),
        *memory(some.minutes),
        *roofline(data_dir, some.text, some.rounds),
    ]
