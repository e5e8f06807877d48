"""What a runtime computes in a second: on one thread, and in two processes at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.kokoro_material import load, portuguese, row, speak
from benchmarks.store_process import child
from benchmarks.store_timing import seconds
from benchmarks.table import Row
from darkchannel.speech.kokoro.engine import SAMPLE_RATE
from darkchannel.speech.kokoro.runtime import RUNTIMES, choose

PUBLISHED = "onnxruntime"
"""The runtime that computes what other tools do."""
LEAST_SCALING = 1.85


def speed(data_dir: Path, text: str, rounds: int) -> list[Row]:
    """Compute the same chunk with one and the other in turn, on one thread.

    Args:
        data_dir: the project's data directory.
        text: a Portuguese sentence.
        rounds: of both; the first, which is not counted, warms them up.
    """
    what = portuguese(data_dir, text)
    runtimes = {name: load(name, data_dir) for name in RUNTIMES}
    audio = {name: len(speak(runtime, what)) / SAMPLE_RATE for name, runtime in runtimes.items()}
    taken: dict[str, list[float]] = {name: [] for name in runtimes}
    for _ in range(rounds):
        for name, runtime in runtimes.items():
            taken[name].append(seconds(speak, runtime, what) / audio[name])
    of = {name: statistics.median(each) for name, each in taken.items()}
    pairs = {
        name: [b / a for a, b in zip(taken[name], taken[PUBLISHED], strict=True)]
        for name in RUNTIMES
        if name != PUBLISHED
    }
    return [
        row(
            f"seconds a second of audio, one thread, {len(what.tokens)} tokens: median of {rounds}",
            {name: f"{value:.3f}" for name, value in of.items()},
        ),
        row(
            f"{PUBLISHED} : it, by the pair: median, least, most",
            {
                name: f"{statistics.median(each):.2f}, {min(each):.2f}, {max(each):.2f}"
                for name, each in pairs.items()
            },
        ),
    ]


def scaling(data_dir: Path, text: str, rounds: int) -> list[Row]:
    """Compute in one process, then in two at the same time, in turn.

    Args:
        data_dir: the project's data directory.
        text: a Portuguese sentence.
        rounds: of one and of two.
    """
    usual = choose(None).runtime
    of = {name: _throughput(name, data_dir, text, rounds) for name in RUNTIMES}
    return [
        row(
            "two processes of one thread : one, throughput",
            {name: f"{value:.2f}" for name, value in of.items()},
            f"{usual} at least {LEAST_SCALING}",
            met=of[usual] >= LEAST_SCALING,
        )
    ]


def _throughput(name: str, data_dir: Path, text: str, rounds: int) -> float:
    """Work done by two processes in a time, against that done by one: median of the rounds."""
    with ExitStack() as stack:
        pipes = [stack.enter_context(child(_work, name, data_dir, text)) for _ in range(2)]
        for pipe in pipes:
            pipe.recv()  # it has warmed up
        ratios = []
        for _ in range(rounds):
            alone = _together(pipes[:1])
            ratios.append(2 * alone / _together(pipes))
    return statistics.median(ratios)


def _together(pipes: Sequence[Connection]) -> float:
    """Seconds until each process has done its work once."""
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send(None)
    for pipe in pipes:
        pipe.recv()
    return time.perf_counter() - began


def _work(name: str, data_dir: Path, text: str, pipe: Connection) -> None:
    """Speak a chunk now, and again for each message."""
    what, runtime = portuguese(data_dir, text), load(name, data_dir)
    while True:
        speak(runtime, what)
        pipe.send(None)
        pipe.recv()
