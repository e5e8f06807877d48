"""Which sentences of a paragraph go to the engine together.

Boundaries are chosen by content, in the manner of content-defined chunking: a stretch that is
too long is divided after the sentence with the smallest hash, as long as both sides stay long
enough, and so on with each side.  An edit then moves a boundary only where it touches the very
sentences that decided it, and all other chunks keep their digests and their takes.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from darkchannel.models import Utterance


class Counted(NamedTuple):
    """An utterance with its number of tokens and of its chapter."""

    utterance: Utterance
    tokens: int
    chapter: int


def tokens_of(counted: Sequence[Counted]) -> int:
    """Tokens of a chunk: the sum of its utterances' plus one between each two."""
    return sum(one.tokens for one in counted) + len(counted) - 1


def group(stretch: Sequence[Counted], shortest: int, longest: int) -> Iterator[Sequence[Counted]]:
    """Divide a stretch of sentences that could all be spoken together into chunks.

    Every chunk has at most ``longest`` tokens unless a single utterance has more, and at least
    ``shortest`` where the sentences allow it.  Takes n log n time for n sentences.
    """
    # Each utterance carries the one token that parts it from the next.
    sums = [0, *accumulate(one.tokens + 1 for one in stretch)]
    keys = [_key(one.utterance) for one in stretch]
    waiting = [(0, len(stretch))]
    while waiting:
        start, end = waiting.pop()
        if end - start == 1 or sums[end] - sums[start] - 1 <= longest:
            yield stretch[start:end]
            continue
        cut = _cut(sums, keys, start, end, shortest)
        waiting += [(cut, end), (start, cut)]


def _cut(sums: Sequence[int], keys: Sequence[bytes], start: int, end: int, shortest: int) -> int:
    """Index of the first utterance after the best boundary inside ``[start, end)``."""
    middle = (sums[start] + sums[end]) / 2
    first = bisect_left(sums, sums[start] + shortest + 1, start + 1, end)
    last = bisect_right(sums, sums[end] - shortest - 1, start + 1, end)
    if first < last:
        return min(range(first, last), key=lambda at: (keys[at - 1], abs(sums[at] - middle)))
    return min(range(start + 1, end), key=lambda at: abs(sums[at] - middle))


def _key(utterance: Utterance) -> bytes:
    return hashlib.blake2b(utterance.spoken.encode(), digest_size=8).digest()
