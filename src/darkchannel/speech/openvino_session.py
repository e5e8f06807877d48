"""Graphs on OpenVINO: where it comes from, and how they are compiled."""

from __future__ import annotations

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
        precision: ``bf16`` or ``f32``.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    options: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, the workers of several processes all land on the same core.
        "ENABLE_CPU_PINNING": False,
    }
    if model.is_dynamic():
        # It would keep what it makes for each size it meets, 1.5 MB a size; and be no faster.
        options["CPU_RUNTIME_CACHE_CAPACITY"] = 0
    return core.compile_model(model, "CPU", options)
