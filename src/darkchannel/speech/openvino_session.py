"""Graphs on OpenVINO: where it comes from, and how they are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model

Array = npt.NDArray[Any]


def core() -> Core:
    """What reads and compiles graphs.

    Raises:
        EngineUnavailableError: OpenVINO is not installed.
    """
    try:
        from darkchannel.speech.openvino_library import openvino
    except ImportError as error:
        raise EngineUnavailableError(
            "openvino, which is to compute the voice, is not installed",
            remedy="pip install 'darkchannel[openvino]', or unset DARKCHANNEL_KOKORO_RUNTIME",
        ) from error
    return openvino.Core()


def options(*, threads: int, precision: str, lanes: int = 1) -> dict[str, object]:
    """How to compile a graph for a worker.

    Args:
        threads: of one inference.
        precision: ``bf16`` or ``f32``.
        lanes: inferences at a time; they share the weights, and have signals of their own.
    """
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads * lanes,
        "NUM_STREAMS": lanes,
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, all workers land on the same core.
        "ENABLE_CPU_PINNING": False,
    }


def compiled(
    core: Core, model: Model, *, threads: int, precision: str, lanes: int = 1
) -> CompiledModel:
    """A graph made ready for a worker.

    Args:
        core: of :func:`core`.
        model: the graph.
        threads: as for :func:`options`.
        precision: as for :func:`options`.
        lanes: as for :func:`options`.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    chosen = options(threads=threads, precision=precision, lanes=lanes)
    if model.is_dynamic():
        # It would keep what it makes for each size it meets, 1.5 MB a size; and be no faster.
        chosen["CPU_RUNTIME_CACHE_CAPACITY"] = 0
    return core.compile_model(model, "CPU", chosen)


class Requests:
    """A compiled graph, computed by as many threads at a time as it has lanes."""

    def __init__(self, graph: CompiledModel, *, lanes: int) -> None:
        """Take a graph that was compiled for so many lanes."""
        self._graph = graph
        self._idle: SimpleQueue[InferRequest] = SimpleQueue()
        for _ in range(lanes):
            self._idle.put(graph.create_infer_request())

    def infer(self, inputs: Mapping[str, Array]) -> Array:
        """The graph's only result; waits while all lanes are taken.

        Raises:
            RuntimeError: these inputs cannot be computed.
        """
        request = self._idle.get()
        try:
            result: Array = request.infer(inputs)[0]
        finally:
            self._idle.put(request)
        return result

    def release(self) -> None:
        """Give back the memory of signals, which the next inference takes again.

        Raises:
            RuntimeError: something is being computed.
        """
        self._graph.release_memory()
