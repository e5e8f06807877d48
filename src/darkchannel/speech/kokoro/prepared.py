"""Tokens to sound by prepared parts: what the runtimes ``float32`` and ``openvino`` share.

The way of a chunk: the encoder gives each token its duration, the prosody predictor each frame
(1/40 s) its pitch and loudness, the decoder makes frames of features, the generator and the
inverse transform sound.  The first two are small, decide how long everything takes, and stay in
float32: onnxruntime computes them.  Decoder and generator are where the runtimes differ.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import parts
from darkchannel.speech.kokoro.runtime import Spoken
from darkchannel.speech.kokoro.source import harmonics, sound
from darkchannel.speech.kokoro.vocabulary import PADDING
from darkchannel.speech.onnx_session import failures, session

Array = npt.NDArray[np.float32]

FRAME_SECONDS = 0.025
"""Durations are counted in frames of this length."""

TIMBRE = 128
"""A style vector's first half is the voice's timbre, which decoder and generator take; the second
half is for encoder and prosody."""


class PreparedRuntime(ABC):
    """The prepared parts, loaded and ready; used by one thread at a time."""

    def __init__(self, prepared: Path, *, threads: int, shared: bool) -> None:
        """Load the parts.

        Args:
            prepared: folder of :func:`.preparation.prepare`.
            threads: that share the work on one chunk.
            shared: other processes load them too, so that weights are best left where all map
                them; alone, the encoder's are arranged for speed: a quarter less time.

        Raises:
            EngineUnavailableError: a library is missing, or a file cannot be read.
        """
        _threads()  # whether they can be kept to one is better known now than at the first chunk
        self._failures = failures()
        self._encoder = session(prepared / "encoder.onnx", threads=threads, shared=shared)
        # Arranging these gains nothing, and takes 20 MB.
        self._prosody = session(prepared / "prosody.onnx", threads=threads, shared=True)
        self._constants = parts.constants(prepared)

    @abstractmethod
    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """Decoder and generator.

        Args:
            letters: features of each frame, shape ``[1, 512, F]``.
            pitch: in Hz, shape ``[1, 2 F]``.
            loudness: shape ``[1, 2 F]``.
            source: of :func:`.source.harmonics`, shape ``[120 F + 1, 22]``.
            style: the voice's vector, shape ``[256]``.

        Returns:
            Shape ``[120 F + 1, 22]``: log magnitudes, then phases before their sine.
        """

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """See :meth:`.runtime.Runtime.run`."""
        try:
            with _ONE_THREAD:
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
        pitch, loudness = compute(self._prosody, spread, style[None])
        told = self._constants
        source = harmonics(
            pitch.reshape(-1),
            told["source.mixing"],
            float(told["source.bias"][0]),
            told["source.window"],
        )
        spectrum = self.spectrum(letters[:, :, token_of_frame], pitch, loudness, source, style)
        samples = sound(spectrum, told["sound.inverse"], told["sound.window_sum"])
        # The first and the last are the padding's: the silence around the speech.
        ends = np.cumsum(frames) * FRAME_SECONDS
        return Spoken(samples, tuple(ends[:-1].tolist()))


class _OneThread:
    """Keeps BLAS to one thread while anybody in this process computes.

    The products are small: a second thread for each would be in the way of the other workers, and
    OpenBLAS's wait by turning: a tenth of two cores, measured.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        # threadpoolctl (3.6) obeys the thread that has set a limit, and until that one ends it
        # ignores all others without a word; but whoever computes first need not be done last.
        self._limiter = ThreadPoolExecutor(1, thread_name_prefix="blas-limit")
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._limiter.submit(self._begin).result()
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._limiter.submit(self._limit.__exit__, None, None, None).result()

    def _begin(self) -> None:
        self._limit = _threads().limit(limits=1, user_api="blas")
        self._limit.__enter__()


@cache
def _threads() -> Any:
    """Which libraries of this process compute, and with how many threads.

    Raises:
        EngineUnavailableError: threadpoolctl is missing.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise EngineUnavailableError(
            "threadpoolctl, which the Kokoro voice needs, is not installed",
            remedy="install it with `pip install darkchannel[kokoro]`",
        ) from error
    return ThreadpoolController()


_ONE_THREAD = _OneThread()


def compute(part: Any, *inputs: Array) -> list[Array]:
    """Run a part of a graph on onnxruntime, its inputs in order."""
    names = [value.name for value in part.get_inputs()]
    outputs: list[Array] = part.run(None, dict(zip(names, inputs, strict=True)))
    return outputs
