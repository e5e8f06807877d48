"""Graphs on onnxruntime: how they are loaded, and what it raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from darkchannel.errors import EngineUnavailableError


def session(file: Path, *, threads: int, shared: bool = False) -> Any:
    """A graph on onnxruntime, loaded and ready.

    Measured with the published graph: onnxruntime's memory plans take 0.15 GB more and no less
    time.  Without its arena every run asks the system for memory anew: a third slower, and 2 GB
    at the peak.

    Args:
        file: the ONNX file.
        threads: of one inference.
        shared: leave the weights where they are mapped, for all workers, instead of arranging
            a copy for each: measured with Kokoro's float parts, 84 MB less a worker, and a tenth
            more time for them.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        EngineUnavailableError: onnxruntime is missing, or cannot load the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailableError(
            "onnxruntime, which computes the voices, is not installed",
            remedy="install it with `pip install darkchannel[kokoro]`",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    # A thread that waits leaves its core to the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if shared:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise EngineUnavailableError(
            f"onnxruntime cannot load {file}: {error}",
            remedy="check the files with `darkchannel models fetch --verify`",
        ) from error


def failures() -> tuple[type[Exception], ...]:
    """The exceptions onnxruntime raises; they have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    )
    return tuple(getattr(state, name) for name in names)
