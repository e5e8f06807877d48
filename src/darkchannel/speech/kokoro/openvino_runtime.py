"""The ``openvino`` runtime: decoder and generator in bfloat16, where the CPU has that.

The encoder and the prosody predictor stay in float32, so that durations and pitch are exactly
those of the float model.  Decoder and generator lose little: a sketch of this runtime, on a CPU
with AMX, had 0.99 dB of log-mel distance instead of 0.45 in float32, where the published 8-bit
graph had 2.45.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.openvino_buckets import Buckets
from darkchannel.speech.kokoro.prepared import TIMBRE, PreparedRuntime
from darkchannel.speech.kokoro.runtime import Spoken

Array = npt.NDArray[np.float32]

FRAMES_A_TOKEN = 2.1
"""More than most chunks have (1.7 to 2.0, silence at both ends included): a bucket that turns out
a little too large costs little, one that is too small was compiled in vain."""


class OpenvinoRuntime(PreparedRuntime):
    """Compiled graphs, as few as pay off; used by one thread at a time."""

    def __init__(self, prepared: Path, *, threads: int, precision: str) -> None:
        """Load the parts; see :class:`PreparedRuntime`.

        Args:
            prepared: folder of :func:`.preparation.prepare`.
            threads: that share the work on one chunk.
            precision: ``bf16``, or ``f32`` on a CPU that does not have it.
        """
        super().__init__(prepared, threads=threads)
        self._buckets = Buckets(prepared, precision=precision, threads=threads)

    def prepare(self, token_counts: Sequence[int]) -> None:
        """Choose the sizes to compile for the chunks to come."""
        self._buckets.plan([_frames(count, 1.0) for count in token_counts])

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """See :meth:`.runtime.Runtime.run`."""
        # Compiled beside the encoder; only in a process's first chunk is there something to do.
        self._buckets.expect(_frames(len(tokens), speed))
        return super().run(tokens, style, speed)

    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """See :meth:`PreparedRuntime.spectrum`."""
        timbre = style[:TIMBRE]
        frames = self._buckets.decode(letters, pitch, loudness, timbre)
        return self._buckets.take(letters.shape[2]).generate(frames, source, timbre)


def _frames(tokens: int, speed: float) -> int:
    return max(1, round(FRAMES_A_TOKEN * tokens / speed))
