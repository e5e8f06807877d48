"""Where the speech of a take begins and ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SILENCE_DB = -50.0
"""Below the take's loud parts by more than this, a sound is silence.

Kokoro's own silence lies 65 to 160 dB below its speech, its softest consonants (the onset of
an f, a released t) 30 to 45 dB: with 50 dB nothing of them is lost.  After mastering to -20 dB
RMS, what is cut away lies below -65 dBFS, under the noise floor an audiobook may have.
"""

MARGIN_SECONDS = 0.015
"""Left standing on either side, faded, so that no edge clicks; with the frame's 5 ms, 20."""

_FRAME_SECONDS = 0.005
_LOUD_PERCENTILE = 95
_DEAD_DB = -60.0


class Edges(NamedTuple):
    """Where a take is cut: sample numbers; what lies between start and begin is faded in."""

    start: int
    begin: int
    end: int
    stop: int

    def cut(self, samples: Samples) -> Samples:
        """The samples from start to stop, as a new array."""
        kept = samples[self.start : self.stop].astype(np.float32)
        before, after = self.begin - self.start, self.stop - self.end
        # The margins are silence already; the ramps only take the step out of where it is cut.
        kept[:before] *= np.linspace(0, 1, before, endpoint=False, dtype=np.float32)
        kept[len(kept) - after :] *= np.linspace(1, 0, after, dtype=np.float32)
        return kept


def find_edges(samples: Samples, sample_rate: int) -> Edges:
    """Where to cut so that at most 20 ms of the silence before and after is left on a side.

    Args:
        samples: mono, float32.
        sample_rate: in Hz.

    Returns:
        All zeros if there is nothing but silence.
    """
    frame = round(_FRAME_SECONDS * sample_rate)
    frames = -(-len(samples) // frame)
    padded = np.zeros(frames * frame, np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(frames, frame), dtype=np.float64).mean(axis=1)
    level = 10 * np.log10(power + 1e-20)
    loud = float(np.percentile(level, _LOUD_PERCENTILE)) if frames else _DEAD_DB
    if loud <= _DEAD_DB:
        return Edges(0, 0, 0, 0)
    sounding = np.flatnonzero(level > loud + SILENCE_DB)
    margin = round(MARGIN_SECONDS * sample_rate)
    begin = int(sounding[0]) * frame
    end = min((int(sounding[-1]) + 1) * frame, len(samples))
    return Edges(max(0, begin - margin), begin, end, min(len(samples), end + margin))
