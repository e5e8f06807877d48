"""Tokens to sound by the graph as it is published: the ``onnxruntime`` runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.runtime import Spoken
from darkchannel.speech.kokoro.vocabulary import PADDING
from darkchannel.speech.onnx_session import failures, session

Array = npt.NDArray[np.float32]


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
