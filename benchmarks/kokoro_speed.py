"""What a runtime computes in a second: on one thread, and in two processes at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.kokoro_material import load, portuguese, row, speak
from benchmarks.store_process import child
from benchmarks.store_timing import seconds
from benchmarks.table import Row
from darkchannel.speech.kokoro.engine import SAMPLE_RATE
from darkchannel.speech.kokoro.runtime import choose, usable

PUBLISHED = "onnxruntime"
"""The runtime that computes what other tools do."""
LEAST_SCALING = 1.85
PARTS = 3
"""Lengths of chunks that workers speak: a text's first third, its first two, all of it."""


def speed(data_dir: Path, text: str, rounds: int) -> list[Row]:
    """Compute the same chunk with one and the other in turn, on one thread.

    Args:
        data_dir: the project's data directory.
        text: a Portuguese sentence.
        rounds: of both; the first, which is not counted, warms them up.
    """
    what = portuguese(data_dir, text)
    runtimes = {name: load(name, data_dir) for name in usable()}
    audio = {name: len(speak(runtime, what)) / SAMPLE_RATE for name, runtime in runtimes.items()}
    taken: dict[str, list[float]] = {name: [] for name in runtimes}
    for _ in range(rounds):
        for name, runtime in runtimes.items():
            taken[name].append(seconds(speak, runtime, what) / audio[name])
    of = {name: statistics.median(each) for name, each in taken.items()}
    pairs = {
        name: [b / a for a, b in zip(taken[name], taken[PUBLISHED], strict=True)]
        for name in usable()
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
    """Speak with one worker, then with two at the same time, in turn.

    Workers are what they are in a run: processes, or threads of one that share what is compiled;
    and each speaks a few chunks of different lengths, one after another.

    Args:
        data_dir: the project's data directory.
        text: a Portuguese sentence.
        rounds: of one and of two.
    """
    usual = choose(None).runtime
    of = {name: _throughput(name, data_dir, text, rounds) for name in usable()}
    return [
        row(
            "two workers of one thread : one, throughput",
            {name: f"{value:.2f}" for name, value in of.items()},
            f"{usual} at least {LEAST_SCALING}",
            met=of[usual] >= LEAST_SCALING,
        )
    ]


def _throughput(name: str, data_dir: Path, text: str, rounds: int) -> float:
    """Work done by two workers in a time, against that done by one: median of the rounds."""
    lanes = 2 if name == "openvino" else 1
    with ExitStack() as stack:
        pipes = [
            stack.enter_context(child(_work, name, data_dir, text, lanes))
            for _ in range(2 // lanes)
        ]
        for pipe in pipes:
            pipe.recv()  # it has warmed up
        ratios = []
        for _ in range(rounds):
            alone = _together(pipes[:1], 1)
            ratios.append(2 * alone / _together(pipes, lanes))
    return statistics.median(ratios)


def _together(pipes: Sequence[Connection], lanes: int) -> float:
    """Seconds until each process has done its work once in each of so many lanes."""
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send(lanes)
    for pipe in pipes:
        pipe.recv()
    return time.perf_counter() - began


def _work(name: str, data_dir: Path, text: str, lanes: int, pipe: Connection) -> None:
    """Speak some chunks in all lanes now, and in as many as each message says."""
    whole, runtime = portuguese(data_dir, text), load(name, data_dir, lanes=lanes)
    lengths = [len(whole.tokens) * part // PARTS for part in range(1, PARTS + 1)]
    chunks = [whole._replace(tokens=whole.tokens[:length]) for length in lengths]

    def in_turn(lane: int) -> None:
        for chunk in chunks[lane:] + chunks[:lane]:
            speak(runtime, chunk)

    wanted = lanes
    with ThreadPoolExecutor(lanes) as threads:
        while True:
            list(threads.map(in_turn, range(wanted)))
            pipe.send(None)
            wanted = pipe.recv()
