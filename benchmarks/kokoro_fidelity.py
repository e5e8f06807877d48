"""How far each runtime's sound is from the float model's.

The reference is the published graph with its weights as floats, computed whole by onnxruntime:
what is left of the distance is what quantising inputs while speaking, or the arithmetic, adds.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.kokoro_material import (
    SENTENCES,
    Line,
    line,
    load,
    published,
    row,
    speak,
)
from benchmarks.table import Row
from darkchannel.speech.kokoro.graph import FloatGraph, Tensor
from darkchannel.speech.kokoro.preparation import RUNTIMES as PREPARED
from darkchannel.speech.kokoro.published import OnnxRuntime
from darkchannel.speech.kokoro.runtime import Runtime, usable

Array = npt.NDArray[np.float32]
Bands = npt.NDArray[np.float64]

SAMPLE_RATE = 24_000
POINTS, HOP, BANDS = 1024, 256, 80
FLOOR = 1e-3

OURS = " and ".join(PREPARED)
MOST_DB = 1.2
MOST_LEVEL_DB = 0.1


def fidelity(data_dir: Path, pairs: int) -> list[Row]:
    """Compare the runtimes with the reference on so many of the sentences.

    Args:
        data_dir: the project's data directory.
        pairs: of a sentence and a voice, spread over :data:`SENTENCES`.
    """
    lines = [line(data_dir, *which) for which in _spread(pairs)]
    with _reference(data_dir) as model:
        expected = [speak(model, each) for each in lines]
    distances, levels, lengths = {}, {}, {}
    for name in usable():
        spoken = _all(load(name, data_dir), lines)
        both = list(zip(spoken, expected, strict=True))
        distances[name] = [distance(*pair) for pair in both]
        levels[name] = [_level(ours) - _level(model) for ours, model in both]
        lengths[name] = sum(len(ours) == len(model) for ours, model in both)
    distance_of = {name: statistics.fmean(each) for name, each in distances.items()}
    level_of = {name: statistics.fmean(each) for name, each in levels.items()}
    return [
        row(
            f"log-mel distance to the float model, mean of {pairs} sentences",
            {name: f"{value:.2f} dB" for name, value in distance_of.items()},
            f"{OURS} {MOST_DB} dB",
            met=all(distance_of[name] <= MOST_DB for name in PREPARED),
        ),
        row(
            "the worst of them",
            {name: f"{max(each):.2f} dB" for name, each in distances.items()},
        ),
        row(
            "sentences as long as the float model's",
            {name: f"{count} of {pairs}" for name, count in lengths.items()},
            f"{OURS} all",
            met=all(lengths[name] == pairs for name in PREPARED),
        ),
        row(
            "level beside the float model's, mean",
            {name: f"{value:+.3f} dB" for name, value in level_of.items()},
            f"{OURS} within {MOST_LEVEL_DB} dB",
            met=all(abs(level_of[name]) <= MOST_LEVEL_DB for name in PREPARED),
        ),
    ]


def distance(ours: Array, theirs: Array) -> float:
    """Log-mel distance of two readings in dB, each matched to the other's pace.

    Args:
        ours: samples at 24 kHz.
        theirs: the same sentence.

    Returns:
        The root mean square over the bands, averaged along the cheapest path of dynamic time
        warping through every second frame.
    """
    a, b = (_log_mel(samples)[::2] for samples in (ours, theirs))
    costs = np.sqrt(np.square(a[:, None] - b[None]).mean(axis=2))
    return _mean_of_path(costs)


def _mean_of_path(costs: Bands) -> float:
    """Mean cost along the path of the smallest sum from the first cell to the last."""
    rows, columns = costs.shape
    sums = np.full((rows + 1, columns + 1), np.inf)
    sums[0, 0] = 0
    for i in range(1, rows + 1):
        above = np.minimum(sums[i - 1, 1:], sums[i - 1, :-1])
        left = np.inf
        for j in range(1, columns + 1):
            left = sums[i, j] = costs[i - 1, j - 1] + min(above[j - 1], left)
    i, j, path = rows, columns, []
    while i and j:
        path.append(costs[i - 1, j - 1])
        steps = (i - 1, j - 1), (i - 1, j), (i, j - 1)
        i, j = min(steps, key=lambda at: float(sums[at]))
    return float(np.mean(path))


def _log_mel(samples: Array) -> Bands:
    """Log power of each band in dB, shape ``[frames, 80]``; windows lie whole in the samples."""
    cut = np.lib.stride_tricks.sliding_window_view(samples, POINTS)[::HOP]
    power = np.square(np.abs(np.fft.rfft(cut * np.hanning(POINTS), axis=1)))
    levels: Bands = 10 * np.log10(np.maximum(power @ _filters().T, FLOOR))
    return levels


@cache
def _filters() -> Bands:
    """Triangles of height 1, evenly wide on O'Shaughnessy's mel scale: ``[80, 513]``."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, middle, high = (edges[i : i + BANDS, None] for i in range(3))
    hertz = np.fft.rfftfreq(POINTS, 1 / SAMPLE_RATE)
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))


def _level(samples: Array) -> float:
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


def _all(runtime: Runtime, lines: Sequence[Line]) -> list[Array]:
    return [speak(runtime, each) for each in lines]


def _spread(pairs: int) -> list[tuple[str, str, str]]:
    return [SENTENCES[i * len(SENTENCES) // pairs] for i in range(pairs)]


@contextmanager
def _reference(data_dir: Path) -> Iterator[Runtime]:
    """The whole graph with float weights."""
    inputs = [
        Tensor("tokens", (1, "tokens"), integer=True),
        Tensor("style", (1, 256)),
        Tensor("speed", (1,)),
    ]
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "float.onnx"
        file.write_bytes(FloatGraph(published(data_dir)).cut(inputs, ["audio"]))
        yield OnnxRuntime(file, threads=1)
