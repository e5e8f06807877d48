"""Tokens to sound: the Kokoro graph on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.vocabulary import PADDING

Array = npt.NDArray[np.float32]


class OnnxRuntime:
    """The published graph with 8-bit weights, loaded and ready.

    Measured on one thread of a Xeon with AMX: 0.7 seconds of compute for a second of audio;
    0.55 GB of memory at 190 tokens with onnxruntime's memory plans, 0.4 GB without, equally
    fast.  Without its arena every run asks the system for memory anew: a third slower, and
    2 GB at the peak.
    """

    def __init__(self, weights: Path, *, threads: int) -> None:
        """Load the graph.

        Args:
            weights: the ONNX file.
            threads: of one inference.

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
        self._failures = _failures()
        try:
            self._session = onnxruntime.InferenceSession(
                str(weights), options, providers=["CPUExecutionProvider"]
            )
        except self._failures as error:
            raise EngineUnavailableError(
                f"onnxruntime cannot load {weights}: {error}",
                remedy="check the files with `darkchannel models fetch --verify`",
            ) from error

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Array:
        """One inference.

        Args:
            tokens: without padding.
            style: the voice's vector for that many tokens, shape ``[256]``.
            speed: relative to the voice's own.

        Returns:
            Samples at 24 kHz, shape ``[frames]``, with the silence the model puts around them.

        Raises:
            RuntimeError: the graph cannot be computed for these tokens.
        """
        inputs = {
            "tokens": np.array([[PADDING, *tokens, PADDING]], np.int64),
            "style": style[None],
            "speed": np.array([speed], np.float32),
        }
        try:
            (audio,) = self._session.run(None, inputs)
        except self._failures as error:
            raise RuntimeError(str(error)) from error
        return np.asarray(audio, np.float32).ravel()


def _failures() -> tuple[type[Exception], ...]:
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
