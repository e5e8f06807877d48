"""Tokens to sound in float32: the ``float32`` runtime.

The way of a chunk: the encoder gives each token its duration, the prosody predictor each frame
(1/40 s) its pitch and loudness, the decoder makes frames of features, the generator and the
inverse transform sound.  The first three are small; onnxruntime computes them.  Nearly all the
arithmetic is in the generator, a third of which :mod:`.spectral` leaves to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import preparation
from darkchannel.speech.kokoro.generator import Generator
from darkchannel.speech.kokoro.runtime import Spoken
from darkchannel.speech.kokoro.source import harmonics, sound
from darkchannel.speech.kokoro.vocabulary import PADDING
from darkchannel.speech.onnx_session import failures, session

Array = npt.NDArray[np.float32]

FRAME_SECONDS = 0.025
"""Durations are counted in frames of this length."""

_TIMBRE = 128
"""A style vector's first half is the voice's timbre, which the generator takes; the second half
is for the encoder."""


class Float32Runtime:
    """The prepared parts, loaded and ready; used by one thread at a time."""

    def __init__(self, prepared: Path, *, threads: int) -> None:
        """Load the parts.

        Args:
            prepared: folder of :func:`.preparation.prepare`.
            threads: that share the work on one chunk.

        Raises:
            EngineUnavailableError: a library is missing, or a file cannot be read.
        """
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError as error:
            raise EngineUnavailableError(
                "threadpoolctl, which the Kokoro voice needs, is not installed",
                remedy="install it with `pip install darkchannel[kokoro]`",
            ) from error
        self._failures = failures()
        self._encoder, self._prosody, self._decoder = (
            session(prepared / f"{part}.onnx", threads=threads, shared=True)
            for part in preparation.PARTS
        )
        self._weights = preparation.generator_weights(prepared)
        self._generator = Generator(self._weights, threads=threads)
        self._blas: Any = ThreadpoolController()

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """See :meth:`.runtime.Runtime.run`."""
        try:
            with self._blas.limit(limits=1, user_api="blas"):
                return self._run(tokens, style, speed)
        except self._failures as error:
            raise RuntimeError(str(error)) from error

    def _run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        durations, features, letters = self._encoder.run(
            None,
            {
                "tokens": np.array([[PADDING, *tokens, PADDING]], np.int64),
                "style": style[None],
                "speed": np.array([speed], np.float32),
            },
        )
        frames = durations.reshape(-1).astype(np.int64)
        # Each token's features as often as it has frames: [1, T, 640] and [1, 512, T].
        token_of_frame = np.repeat(np.arange(len(frames)), frames)
        spread = np.ascontiguousarray(features[0].T[None, :, token_of_frame])
        pitch, loudness = self._compute(self._prosody, spread, style[None])
        decoded = self._compute(
            self._decoder, letters[:, :, token_of_frame], pitch, loudness, style[None]
        )[0]
        weights = self._weights
        source = harmonics(
            pitch.reshape(-1),
            weights["source.mixing"],
            float(weights["source.bias"][0]),
            weights["source.window"],
        )
        spectrum = self._generator(np.ascontiguousarray(decoded[0].T), source, style[:_TIMBRE])
        samples = sound(spectrum, weights["sound.inverse"], weights["sound.window_sum"])
        # The first and the last are the padding's: the silence around the speech.
        ends = np.cumsum(frames) * FRAME_SECONDS
        return Spoken(samples, tuple(ends[:-1].tolist()))

    @staticmethod
    def _compute(part: Any, *inputs: Array) -> list[Array]:
        names = [value.name for value in part.get_inputs()]
        outputs: list[Array] = part.run(None, dict(zip(names, inputs, strict=True)))
        return outputs
