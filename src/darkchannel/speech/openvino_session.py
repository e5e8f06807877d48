"""Graphs on OpenVINO: where it comes from, and how they are compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from darkchannel.errors import EngineUnavailableError

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model


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


def compiled(core: Core, model: Model, *, threads: int, precision: str) -> CompiledModel:
    """A graph made ready for a worker.

    Args:
        core: of :func:`core`.
        model: the graph.
        threads: of one inference.
        precision: of the arithmetic that is not of whole numbers: ``bf16`` or ``f32``.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    return core.compile_model(model, "CPU", options(model, threads=threads, precision=precision))


def options(model: Model, *, threads: int, precision: str) -> dict[str, object]:
    """How a graph is to be compiled for a worker.

    Args:
        model: the graph.
        threads: of one inference.
        precision: as above.
    """
    chosen: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        # With more, OpenVINO wakes a thread of its own for each inference.
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, all workers land on the same core.
        "ENABLE_CPU_PINNING": False,
    }
    if model.is_dynamic():
        # It would keep what it makes for each size it meets, 1.5 MB a size; and be no faster.
        chosen["CPU_RUNTIME_CACHE_CAPACITY"] = 0
    return chosen


class Graphs:
    """Graphs that are compiled beside what goes on meanwhile, in the order they are given in."""

    def __init__(
        self,
        read: Mapping[str, Callable[[], Model]],
        compiled: Callable[[Callable[[], Model]], CompiledModel],
        *,
        threads: int = 1,
    ) -> None:
        """Begin.

        Args:
            read: makes each graph, by name.
            compiled: of what one of them makes; raises EngineUnavailableError if it cannot be.
            threads: that compile.
        """
        self._read = read
        self._compiled = compiled
        self._lock = Lock()
        self._compiler = ThreadPoolExecutor(threads, thread_name_prefix="compile")
        self._begun: dict[str, Future[CompiledModel]] = {}
        for _ in range(threads):
            self._go_on()

    def __getitem__(self, name: str) -> CompiledModel:
        """A graph; waits for it.

        Raises:
            EngineUnavailableError: it cannot be compiled; each call tries.
        """
        with self._lock:
            future = self._begin(name)
        return future.result()

    def _begin(self, name: str) -> Future[CompiledModel]:
        begun = self._begun.get(name)
        if begun is None or (begun.done() and begun.exception()):
            begun = self._begun[name] = self._compiler.submit(self._make, self._read[name])
        return begun

    def _make(self, read: Callable[[], Model]) -> CompiledModel:
        try:
            return self._compiled(read)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Begin the next, one for each thread: a process that ends waits for what is begun."""
        with self._lock:
            name = next((name for name in self._read if name not in self._begun), None)
            if name is not None:
                with contextlib.suppress(RuntimeError):  # it ends
                    self._begin(name)
