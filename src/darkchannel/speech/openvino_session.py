"""Graphs on OpenVINO: where it comes from, and how they are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkchannel.errors import EngineUnavailableError

if TYPE_CHECKING:
    from openvino import Core


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


def options(*, threads: int, precision: str) -> dict[str, object]:
    """How to compile a graph for a worker.

    Args:
        threads: of one inference.
        precision: ``bf16`` or ``f32``.
    """
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, the workers of several processes all land on the same core.
        "ENABLE_CPU_PINNING": False,
    }
