"""Tokens to sound by the graph as it is published: the ``onnxruntime`` runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.runtime import Spoken
from darkchannel.speech.kokoro.vocabulary import PADDING

Array = npt.NDArray[np.float32]


def session(file: Path, *, threads: int, shared: bool = False) -> Any:
    """A graph on onnxruntime, loaded and ready.

    Measured with the published graph: onnxruntime's memory plans take 0.15 GB more and no less
    time.  Without its arena every run asks the system for memory anew: a third slower, and 2 GB
    at the peak.

    Args:
        file: the ONNX file.
        threads: of one inference.
        shared: leave the weights where they are mapped, for all workers, instead of arranging
            a copy for each: 84 MB less a worker, and some 8 % more time for the encoder.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        EngineUnavailableError: onnxruntime is missing, or cannot load the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailableError(
            "onnxruntime, which computes the Kokoro voice, is not installed",
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


class OnnxRuntime:
    """The whole graph with its 8-bit weights: what needs no preparation."""

    def __init__(self, weights: Path, *, threads: int) -> None:
        """Load the graph.

        Args:
            weights: the ONNX file.
            threads: of one inference.

        Raises:
            EngineUnavailableError: onnxruntime is missing, or cannot load the file.
        """
        self._session = session(weights, threads=threads)
        self._failures = failures()

    def prepare(self, token_counts: Sequence[int]) -> None:
        """See :meth:`.runtime.Runtime.prepare`: every length is taken as it comes."""

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """See :meth:`.runtime.Runtime.run`; this graph does not tell when a token sounds."""
        inputs = {
            "tokens": np.array([[PADDING, *tokens, PADDING]], np.int64),
            "style": style[None],
            "speed": np.array([speed], np.float32),
        }
        try:
            (audio,) = self._session.run(None, inputs)
        except self._failures as error:
            raise RuntimeError(str(error)) from error
        return Spoken(np.asarray(audio, np.float32).ravel(), None)


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
