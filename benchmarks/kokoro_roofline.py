"""Where the ``float32`` runtime's time goes, and how near each part is to the machine's best.

A multiplication and an addition are two operations.  Of the generator only the convolutions of
the residual blocks are counted: 48 of them, nearly all there is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.kokoro_arithmetic import operations
from benchmarks.kokoro_material import load_float32, portuguese, row, speak
from benchmarks.store_timing import seconds
from benchmarks.table import Row
from darkchannel.speech.kokoro.engine import SAMPLE_RATE
from darkchannel.speech.kokoro.generator import STRIDES, blocks, level_of
from darkchannel.speech.kokoro.parts import generator_weights
from darkchannel.speech.kokoro.preparation import folder
from darkchannel.speech.kokoro.spectral import transform

PARTS = ("encoder", "prosody", "decoder", "generator")
REST = "source, sound and the rest"
CONVOLUTIONS = 6
"""Of a block."""

_SIZE = 1024
_FRAMES_A_SECOND = 80
"""That the decoder gives."""


def roofline(data_dir: Path, text: str, rounds: int) -> list[Row]:
    """Time the machine's best product of matrices, then each part on its way.

    Args:
        data_dir: the project's data directory.
        text: a Portuguese sentence.
        rounds: of both.
    """
    peak = _peak(rounds)
    convolutions = of_convolutions(data_dir)
    parts = _parts(data_dir, text, rounds)
    parts["generator"] = parts["generator"]._replace(gflop=convolutions["float32"])
    return [
        row(
            f"float32 product of {_SIZE} x {_SIZE} matrices, one thread, best",
            {"float32": f"{peak:.0f} GFLOP/s"},
        ),
        row(
            "convolutions of the generator, a second of audio",
            {name: f"{value:.1f} GFLOP" for name, value in convolutions.items()},
        ),
        *(
            row(f"a second of audio: {part}", {"float32": cost.told(peak)})
            for part, cost in parts.items()
        ),
    ]


class _Cost(NamedTuple):
    """Of a part, for a second of audio."""

    seconds: float
    gflop: float = 0.0

    def told(self, peak: float) -> str:
        """Time, arithmetic, and its pace beside the machine's best in GFLOP/s."""
        rate = self.gflop / self.seconds
        reached = f", {self.gflop:.2f} GFLOP, {rate:.0f} GFLOP/s: {rate / peak:.0%}"
        return f"{self.seconds:.4f} s{reached if self.gflop else ''}"


def of_convolutions(data_dir: Path) -> Mapping[str, float]:
    """The generator's GFLOP for a second of audio, by runtime: in the spectrum, and directly."""
    weights = generator_weights(folder(data_dir))
    direct = spectral = 0.0
    for name, taps in blocks().items():
        rate = _FRAMES_A_SECOND * int(np.prod(STRIDES[: level_of(name) + 1]))
        channels = weights[f"{name}.alphas"].shape[1]
        # A dilated filter does the same for each sample as one without.
        direct += CONVOLUTIONS * rate * 2 * channels * channels * taps
        analysis, synthesis, _ = matrices = transform(taps)
        window = 2 * channels * (analysis.size + synthesis.size + len(analysis) * channels)
        spectral += CONVOLUTIONS * rate / matrices.stride * window
    return {"float32": spectral / 1e9, "onnxruntime": direct / 1e9}


def _peak(rounds: int) -> float:
    """GFLOP/s of the fastest product."""
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, _SIZE, _SIZE), np.float32)
    with threadpool_limits(1):
        a @ b
        best = min(seconds(np.matmul, a, b) for _ in range(4 * rounds))
    return 2 * _SIZE**3 / best / 1e9


class _Timed:
    """A part of the runtime, how long its last use took, and what it was given."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.seconds = 0.0
        self.given: tuple[Any, ...] = ()

    def __call__(self, *args: Any) -> Any:
        return self._measured(self._part, *args)

    def run(self, *args: Any) -> Any:
        return self._measured(self._part.run, *args)

    def get_inputs(self) -> Any:
        return self._part.get_inputs()

    def _measured(self, call: Callable[..., Any], *args: Any) -> Any:
        self.given = args
        began = time.perf_counter()
        try:
            return call(*args)
        finally:
            self.seconds = time.perf_counter() - began


def _parts(data_dir: Path, text: str, rounds: int) -> dict[str, _Cost]:
    """What each part takes for a second of audio, medians, and what is left."""
    runtime, what = load_float32(data_dir), portuguese(data_dir, text)
    timed = {part: _Timed(getattr(runtime, f"_{part}")) for part in PARTS}
    for part, stand_in in timed.items():
        setattr(runtime, f"_{part}", stand_in)
    audio = len(speak(runtime, what)) / SAMPLE_RATE
    taken: dict[str, list[float]] = {part: [] for part in (*PARTS, REST)}
    for _ in range(rounds):
        rest = seconds(speak, runtime, what)
        for part, clock in timed.items():
            taken[part].append(clock.seconds / audio)
            rest -= clock.seconds
        taken[REST].append(rest / audio)
    costs = {part: _Cost(statistics.median(each)) for part, each in taken.items()}
    for part in PARTS[:-1]:  # graphs, which a session was given inputs for, by name
        _, inputs = timed[part].given
        gflop = operations(folder(data_dir) / f"{part}.onnx", inputs) / audio
        costs[part] = costs[part]._replace(gflop=gflop)
    return costs
