"""Which sizes of graphs to compile for chunks of which lengths.

A compiled graph (a *bucket*) takes chunks of fewer frames than its size, and computes as if they
had all of them: a large bucket wastes time on short chunks, and each further bucket takes time to
compile.  One that is compiled once for a whole book pays off quickly; for a page, one is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

STEP = 32
"""Frames by which sizes differ; a frame is 1/40 s."""

COMPILE_FRAMES = 600
"""Frames whose computation takes as long as compiling a bucket (1.5 s, at 0.1 s a second)."""

MOST = 3
"""Buckets kept at a time: each holds its signals, 0.2 GB at 12 s of audio."""

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


@lru_cache(maxsize=16)
def sizes(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes that take the least time for chunks of these lengths, compiling included.

    A good bucket is as large as some chunk, so the chunks in order of length are cut into runs:
    with one bucket more each time, the cheapest cover of the shorter ones is extended.

    Args:
        lengths: of the chunks, in frames.

    Returns:
        Rising, at most :data:`MOST`; empty where there are no chunks.
    """
    steps = sorted({rounded(length) for length in lengths})
    if not steps:
        return ()
    counts = [sum(rounded(length) == step for length in lengths) for step in steps]
    # The cheapest covers of the chunks up to each step, by so many buckets at most.
    covers = [_Cover(0, ())]
    for end, step in enumerate(steps, start=1):
        covers.append(_Cover(COMPILE_FRAMES + step * sum(counts[:end]), (step,)))
    for _ in range(MOST - 1):
        covers = covers[:1] + [
            min(
                _Cover(
                    before.cost + COMPILE_FRAMES + steps[end - 1] * sum(counts[begin:end]),
                    (*before.sizes, steps[end - 1]),
                )
                for begin, before in enumerate(covers[:end])
            )
            for end in range(1, len(covers))
        ]
    return covers[-1].sizes


def fitting(held: Sequence[int], frames: int, planned: Sequence[int]) -> int:
    """The size of bucket for a chunk: one that is held, one that is planned, or its own.

    Args:
        held: sizes that are compiled.
        frames: of the chunk.
        planned: sizes that were chosen for what is to come.

    Returns:
        A size of more than so many frames.
    """
    own = rounded(frames)
    fit = range(frames + 1, max(own, MOST_PADDING * frames) + 1)
    foreseen = min((size for size in planned if size in fit), default=own)
    ready = min((size for size in held if size in fit), default=None)
    # A chunk now and then is not worth compiling for, as long as it wastes less than that takes.
    if ready is not None and (ready <= foreseen or ready - own < COMPILE_FRAMES):
        return ready
    return foreseen
