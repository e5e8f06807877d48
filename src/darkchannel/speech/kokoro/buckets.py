"""Which sizes of graphs to compile for chunks of which lengths.

A compiled graph (a *bucket*) takes chunks of fewer frames than its size, and computes as if they
had all of them: a large bucket wastes time on short chunks, and each further bucket takes time to
compile.  For a page one is enough; for a chapter whose chunks come in order of length, longest
first, each of several is compiled once, used, and let go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

STEP = 32
"""Frames by which sizes differ; a frame is 1/40 s."""

COMPILE_FRAMES = {"bf16": 600, "f32": 90}
"""Frames whose computation takes as long as getting a bucket, by precision: 0.9 s where it has been
compiled before on this machine, and 1.5 ms a frame (0.06 s a second of audio) or 10 ms.  The first
time it takes 2.5 s, once for all books to come."""

MOST = 2
"""Buckets kept at a time: 0.25 GB each for two lanes, and signals of 0.15 GB a lane at 7 s.
Two are enough for chunks that come in order of length: the one before serves while the next is
being compiled."""

MOST_PADDING = 12
"""A bucket is at most so many times as large as a chunk in it.  What padding changes is then 50 dB
and more below the speech; at 35 times, statistics lose too many digits."""


class _Cover(NamedTuple):
    """What buckets cost that some chunks fit in: frames, compiling included."""

    cost: int
    sizes: tuple[int, ...]


def rounded(frames: int) -> int:
    """The smallest size that takes so many frames: the last frame of a bucket stays empty."""
    return (frames // STEP + 1) * STEP


def sizes(lengths: Iterable[int], compile_frames: int) -> tuple[int, ...]:
    """The sizes that take the least time for chunks of these lengths, compiling included.

    A good bucket is as large as some chunk, so the chunks in order of length are cut into runs:
    the cheapest cover of those up to a length adds a bucket to the cheapest of some shorter ones.

    Args:
        lengths: of the chunks, in frames.
        compile_frames: frames that are computed as fast as a bucket is compiled.

    Returns:
        Rising; empty where there are no chunks.
    """
    counts = Counter(map(rounded, lengths))
    steps = sorted(counts)
    covers = [_Cover(0, ())]  # of the chunks of the first so many steps
    for end, step in enumerate(steps):
        covers.append(
            min(
                _Cover(
                    before.cost
                    + compile_frames
                    + step * sum(counts[s] for s in steps[begin : end + 1]),
                    (*before.sizes, step),
                )
                for begin, before in enumerate(covers)
            )
        )
    return covers[-1].sizes


class Sizes:
    """Decides which size a chunk is to take, as chunks come; used by one thread at a time.

    A size that is planned is compiled once without more ado.  Any other, and one that was let go
    meanwhile, has to have cost as much by not being there as compiling it takes: whatever comes,
    no more is spent on compiling than twice what was needed.
    """

    def __init__(self, compile_frames: int) -> None:
        """Nothing is planned.

        Args:
            compile_frames: frames that are computed as fast as a bucket is compiled.
        """
        self._compile_frames = compile_frames
        self._planned: tuple[int, ...] = ()
        self._tried: set[int] = set()
        self._wasted: Counter[int] = Counter()

    def plan(self, lengths: Iterable[int]) -> None:
        """Hear the lengths of the chunks to come, in frames."""
        self._planned = sizes(lengths, self._compile_frames)

    def fitting(self, held: Collection[int], frames: int) -> int:
        """The size of bucket for a chunk: one that is held, one that is planned, or its own.

        Args:
            held: sizes that are compiled.
            frames: of the chunk.

        Returns:
            A size of more than so many frames.
        """
        foreseen = self._foreseen(frames)
        ready = smallest(held, frames)
        if ready is None or (foreseen in self._planned and foreseen not in self._tried):
            return foreseen
        if ready <= foreseen or self._wasted[foreseen] + ready - foreseen < self._compile_frames:
            return ready
        return foreseen

    def compiled(self, size: int) -> None:
        """Count that a size is being compiled."""
        self._tried.add(size)
        del self._wasted[size]

    def used(self, size: int, frames: int) -> None:
        """Count that a chunk took a bucket of some size."""
        foreseen = self._foreseen(frames)
        if foreseen < size:
            self._wasted[foreseen] += size - foreseen

    def _foreseen(self, frames: int) -> int:
        planned = smallest(self._planned, frames)
        return rounded(frames) if planned is None else planned


def smallest(some: Collection[int], frames: int) -> int | None:
    """The smallest of some sizes that a chunk of so many frames fits in without much padding."""
    most = max(rounded(frames), MOST_PADDING * frames)
    return min((size for size in some if frames < size <= most), default=None)
