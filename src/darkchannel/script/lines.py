"""Lines of the input, for messages that a person can follow."""

from __future__ import annotations

import re
from bisect import bisect_right

_LINE_END = re.compile(r"\r\n|[\n\r]")


class LineTable:
    """Finds the line and column, both from 1, of a character of the input."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def line(self, offset: int) -> int:
        """Line of the character at ``offset``."""
        return bisect_right(self._starts, offset)

    def column(self, offset: int) -> int:
        """Column of the character at ``offset`` in its line."""
        return offset - self._starts[self.line(offset) - 1] + 1
