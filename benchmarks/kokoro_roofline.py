"""Where the prepared runtimes' time goes, and how near each part is to the machine's best.

A multiplication and an addition are two operations.  Of the generator only the convolutions of
the residual blocks are counted: 48 of them, nearly all there is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.kokoro_arithmetic import operations
from benchmarks.kokoro_material import load, portuguese, row, speak
from benchmarks.store_timing import seconds
from benchmarks.table import Row
from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro import openvino_graph
from darkchannel.speech.kokoro.engine import SAMPLE_RATE
from darkchannel.speech.kokoro.generator import STRIDES, blocks, level_of
from darkchannel.speech.kokoro.openvino_runtime import OpenvinoRuntime
from darkchannel.speech.kokoro.openvino_tiles import Layer
from darkchannel.speech.kokoro.parts import generator_weights
from darkchannel.speech.kokoro.preparation import folder
from darkchannel.speech.kokoro.runtime import Runtime, usable
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
    names = [name for name in ("float32", "openvino") if name in usable()]
    floats = _peak(rounds)
    whole = _peak_of_whole_numbers(rounds) if "openvino" in names else 0.0
    convolutions = of_convolutions(data_dir)
    parts: dict[str, dict[str, str]] = {part: {} for part in (*PARTS, REST)}
    for name in names:
        costs = _parts(name, data_dir, text, rounds)
        costs["generator"] = costs["generator"]._replace(gflop=convolutions[name])
        for part, cost in costs.items():
            of_whole = name == "openvino" and part in {"decoder", "generator"}
            parts[part][name] = cost.told(whole if of_whole else floats)
    return [
        row(
            f"float32 product of {_SIZE} x {_SIZE} matrices; 8-bit convolution; one thread, best",
            {"float32": f"{floats:.0f} GFLOP/s"}
            | ({"openvino": f"{whole:.0f} GOP/s"} if whole else {}),
        ),
        row(
            "convolutions of the generator, a second of audio",
            {name: f"{value:.1f} GFLOP" for name, value in convolutions.items()},
        ),
        *(row(f"a second of audio: {part}", figures) for part, figures in parts.items()),
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
    return {"float32": spectral / 1e9, "onnxruntime": direct / 1e9, "openvino": direct / 1e9}


def _peak(rounds: int) -> float:
    """GFLOP/s of the fastest product."""
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, _SIZE, _SIZE), np.float32)
    with threadpool_limits(1):
        a @ b
        best = min(seconds(np.matmul, a, b) for _ in range(4 * rounds))
    return 2 * _SIZE**3 / best / 1e9


def _peak_of_whole_numbers(rounds: int) -> float:
    """GOP/s of a layer's tile of many channels and taps, rounding its signal included."""
    drawn = np.random.default_rng(0).integers(-64, 64, (256, 256, 11), np.int8)
    layer = Layer(drawn, steps=np.ones(1, np.float32), slope=1.0)
    graph = openvino_session.compiled(
        openvino_session.core(), openvino_graph.tile(layer), threads=1, precision="f32"
    )
    request = graph.create_infer_request()
    signal = np.ones((layer.places + layer.more, layer.inputs), np.float32)
    request.infer([signal])
    best = min(seconds(request.infer, [signal]) for _ in range(40 * rounds))
    return 2 * drawn.size * layer.places / best / 1e9


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


def _stand_ins(runtime: Runtime) -> dict[str, _Timed]:
    """Put a clock before each part of a runtime."""
    timed = {}
    for part in PARTS:
        if part == "generator" and isinstance(runtime, OpenvinoRuntime):
            lanes: SimpleQueue[Any] = runtime._lanes
            timed[part] = _Timed(lanes.get())
            lanes.put(timed[part])
        else:
            timed[part] = _Timed(getattr(runtime, f"_{part}"))
            setattr(runtime, f"_{part}", timed[part])
    return timed


def _parts(name: str, data_dir: Path, text: str, rounds: int) -> dict[str, _Cost]:
    """What each part takes for a second of audio, medians, and what is left."""
    runtime, what = load(name, data_dir), portuguese(data_dir, text)
    timed = _stand_ins(runtime)
    audio = len(speak(runtime, what)) / SAMPLE_RATE
    taken: dict[str, list[float]] = {part: [] for part in (*PARTS, REST)}
    for _ in range(rounds):
        rest = seconds(speak, runtime, what)
        for part, clock in timed.items():
            taken[part].append(clock.seconds / audio)
            rest -= clock.seconds
        taken[REST].append(rest / audio)
    costs = {part: _Cost(statistics.median(each)) for part, each in taken.items()}
    for part in PARTS[:-1]:
        gflop = operations(folder(data_dir) / f"{part}.onnx", _inputs(part, timed)) / audio
        costs[part] = costs[part]._replace(gflop=gflop)
    return costs


def _inputs(part: str, timed: Mapping[str, _Timed]) -> Mapping[str, Any]:
    """What a part's graph on onnxruntime takes, by name."""
    given = timed[part].given
    if len(given) == 2:  # a session was given them so
        return dict(given[1])
    letters, pitch, loudness, timbre = given
    names = "/encoder/MatMul_1_output_0", "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0"
    style = np.concatenate([timbre, timbre])[None]  # its second half is not the decoder's
    return dict(zip((*names, "style"), (letters, pitch, loudness, style), strict=True))
