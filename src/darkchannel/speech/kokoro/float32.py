"""The ``float32`` runtime: the decoder on onnxruntime, the generator by Fourier transforms.

Nearly all the arithmetic is in the generator, a third of which :mod:`.spectral` leaves to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.generator import Generator
from darkchannel.speech.kokoro.parts import generator_weights
from darkchannel.speech.kokoro.prepared import TIMBRE, PreparedRuntime, compute
from darkchannel.speech.kokoro.runtime import Spoken
from darkchannel.speech.onnx_session import session

Array = npt.NDArray[np.float32]


class Float32Runtime(PreparedRuntime):
    """Float weights on any CPU with numpy's BLAS."""

    def __init__(self, prepared: Path, *, threads: int) -> None:
        """Load the parts; see :class:`PreparedRuntime`."""
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError as error:
            raise EngineUnavailableError(
                "threadpoolctl, which the Kokoro voice needs, is not installed",
                remedy="install it with `pip install darkchannel[kokoro]`",
            ) from error
        super().__init__(prepared, threads=threads)
        self._decoder = session(prepared / "decoder.onnx", threads=threads, shared=True)
        self._generator = Generator(generator_weights(prepared), threads=threads)
        self._blas: Any = ThreadpoolController()

    def prepare(self, token_counts: Sequence[int]) -> None:
        """See :meth:`.runtime.Runtime.prepare`: every length is taken as it comes."""

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """See :meth:`.runtime.Runtime.run`."""
        with self._blas.limit(limits=1, user_api="blas"):
            return super().run(tokens, style, speed)

    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """See :meth:`PreparedRuntime.spectrum`."""
        decoded = compute(self._decoder, letters, pitch, loudness, style[None])[0]
        return self._generator(np.ascontiguousarray(decoded[0].T), source, style[:TIMBRE])
