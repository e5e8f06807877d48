"""Dividing a sentence that is too long to be spoken in one breath."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import ceil

# From the best place to divide a sentence to the worst; each matches the space itself.
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=[.!?…]) |(?<=[.!?…][\"'”’»)]) ",
        r"(?<=;) ",
        r"(?<=:) ",
        r" (?=[—–])",
        r"(?<=,) ",
        r" (?=(?:e|mas|ou|que|porque|quando|se|como|para|pois|porém|enquanto|embora"
        r"|and|but|or|that|which|who|because|when|if|while|so|though|where) )",
        r" ",
    )
)
_SLACK = 0.25


def divide(
    text: str, tokens: float, *, aim: int, limit: int, may_cut: Callable[[int], bool]
) -> list[int]:
    """Spaces at which to divide ``text`` into parts of about equal length.

    Takes time linear in the text's length.

    Args:
        text: one line with single spaces.
        tokens: how many it has; characters are taken to have the same share each.
        aim: the most tokens a part should have.
        limit: the most that are left in one piece.
        may_cut: whether the space at a position may be a place to divide.

    Returns:
        Positions of spaces, ascending; empty where there is none to be had.
    """
    share = tokens / len(text)
    cuts: list[int] = []
    place = 0
    while (len(text) - place) * share > limit:
        left = len(text) - place
        step = left / ceil(left * share / aim)
        cut = _best(text, place, step, may_cut)
        if cut is None:
            break
        cuts.append(cut)
        place = cut + 1
    return cuts


def _best(text: str, place: int, step: float, may_cut: Callable[[int], bool]) -> int | None:
    ideal = place + step
    low, high = int(ideal - _SLACK * step), int(ideal + _SLACK * step) + 1
    for pattern in _PLACES:
        found = (match.start() for match in pattern.finditer(text, max(low, place + 1), high))
        allowed = [cut for cut in found if may_cut(cut) and cut < len(text) - 1]
        if allowed:
            return min(allowed, key=lambda cut: abs(cut - ideal))
    before = text.rfind(" ", place + 1, low)
    while before > place and not may_cut(before):
        before = text.rfind(" ", place + 1, before)
    if before > place:
        return before
    return next(_spaces(text, high, may_cut), None)


def _spaces(text: str, start: int, may_cut: Callable[[int], bool]) -> Iterator[int]:
    at = text.find(" ", start)
    while 0 <= at < len(text) - 1:
        if may_cut(at):
            yield at
        at = text.find(" ", at + 1)
