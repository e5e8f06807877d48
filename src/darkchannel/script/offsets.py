"""Where characters went when a text was edited."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """Characters ``[start, end)`` of a text are replaced by others."""

    start: int
    end: int
    text: str


class OffsetMap:
    """Leads from a text after some edits back to the text before them.

    Characters outside the edits map one to one; those an edit brought in all map to the whole
    range it replaced.  A look-up takes logarithmic time in the number of edits.
    """

    __slots__ = ("_ends", "_new_ends", "_new_starts", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._new_starts: list[int] = []
        self._new_ends: list[int] = []

    def add(self, edit: Edit, new_start: int) -> None:
        """Record an edit whose text begins at ``new_start``; edits come in order."""
        self._starts.append(edit.start)
        self._ends.append(edit.end)
        self._new_starts.append(new_start)
        self._new_ends.append(new_start + len(edit.text))

    def start(self, position: int) -> int:
        """Where the character at ``position`` begins in the text before."""
        at = bisect_right(self._new_starts, position) - 1
        if at < 0:
            return position
        if position < self._new_ends[at]:
            return self._starts[at]
        return self._ends[at] + position - self._new_ends[at]

    def end(self, position: int) -> int:
        """Where the character at ``position`` ends in the text before (exclusive)."""
        at = bisect_right(self._new_starts, position) - 1
        if at < 0:
            return position + 1
        if position < self._new_ends[at]:
            return self._ends[at]
        return self._ends[at] + position - self._new_ends[at] + 1

    def new_start(self, position: int) -> int:
        """Where the character at ``position`` of the text before begins now."""
        at = bisect_right(self._starts, position) - 1
        if at < 0:
            return position
        if position < self._ends[at]:
            return self._new_starts[at]
        return self._new_ends[at] + position - self._ends[at]

    def new_end(self, position: int) -> int:
        """Where the range that ended at ``position`` in the text before ends now."""
        at = bisect_left(self._starts, position) - 1
        if at < 0:
            return position
        if position < self._ends[at]:
            return self._new_ends[at]
        return self._new_ends[at] + position - self._ends[at]


def rewrite(text: str, edits: Iterable[Edit]) -> tuple[str, OffsetMap]:
    """Apply edits that come in order and do not overlap."""
    offsets = OffsetMap()
    parts: list[str] = []
    last = length = 0
    for edit in edits:
        parts += (text[last : edit.start], edit.text)
        length += edit.start - last
        if edit.end - edit.start != 1 or len(edit.text) != 1:
            offsets.add(edit, length)
        length += len(edit.text)
        last = edit.end
    if not parts:
        return text, offsets
    parts.append(text[last:])
    return "".join(parts), offsets
