"""The ``openvino`` runtime: decoder and generator in bfloat16, where the CPU has that.

The encoder and the prosody predictor stay in float32, so that durations and pitch are exactly
those of the float model.  Decoder and generator lose little: a sketch of this runtime, on a CPU
with AMX, had 0.99 dB of log-mel distance instead of 0.45 in float32, where the published 8-bit
graph had 2.45.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.openvino_buckets import Buckets
from darkchannel.speech.kokoro.prepared import TIMBRE, PreparedRuntime

Array = npt.NDArray[np.float32]

SILENCE_TOKENS = 8
"""Tokens that the silence around a chunk lasts as long as: frames are nearly proportional to tokens
and these.  Measured on a Portuguese and an English voice (five to eleven)."""

MARGIN_FRAMES = 16
"""By which a chunk may last longer than its tokens tell: 15 and 22 at most of 95 chunks."""


class OpenvinoRuntime(PreparedRuntime):
    """Compiled graphs, as few as pay off; used by as many threads at a time as it has lanes."""

    def __init__(self, prepared: Path, *, threads: int, precision: str, lanes: int = 1) -> None:
        """Load the parts; see :class:`PreparedRuntime`.

        Args:
            prepared: folder of :func:`.preparation.prepare`.
            threads: that share the work on one chunk.
            precision: ``bf16``, or ``f32`` on a CPU that does not have it.
            lanes: chunks at a time.
        """
        super().__init__(prepared, threads=threads)
        self._buckets = Buckets(
            prepared,
            precision=precision,
            threads=threads,
            lanes=lanes,
            keep=prepared / "compiled",
        )
        self._told: tuple[int, ...] = ()
        self._is_new = False

    def prepare(self, token_counts: Sequence[int]) -> None:
        """Hear the lengths of the chunks to come; the first chunk tells how fast the voice is."""
        told = tuple(token_counts)
        if told != self._told:
            self._told, self._is_new = told, True

    def expect(self, tokens: float, frames: int) -> None:
        """Begin to compile what the chunk will need, beside what comes before the generator."""
        if self._is_new:
            self._is_new = False
            pace = frames / (tokens + SILENCE_TOKENS)
            self._buckets.plan(
                [round(pace * (count + SILENCE_TOKENS)) + MARGIN_FRAMES for count in self._told]
            )
        self._buckets.expect(frames)

    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """See :meth:`PreparedRuntime.spectrum`."""
        timbre = style[:TIMBRE]
        frames = self._buckets.decode(letters, pitch, loudness, timbre)
        with self._buckets.using(letters.shape[2]) as bucket:
            return bucket.generate(frames, source, timbre)


def shared(prepared: Path, *, threads: int, precision: str, lanes: int) -> OpenvinoRuntime:
    """The one runtime of this process that is loaded so; loaded now if there is none in use."""
    key = (prepared, threads, precision, lanes)
    with _loading:
        runtime = _loaded.get(key)
        if runtime is None:
            runtime = OpenvinoRuntime(prepared, threads=threads, precision=precision, lanes=lanes)
            _loaded[key] = runtime
    return runtime


_loading = threading.Lock()
_loaded: WeakValueDictionary[tuple[object, ...], OpenvinoRuntime] = WeakValueDictionary()
