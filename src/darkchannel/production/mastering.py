"""Turns in which books are mastered: each is an FFmpeg that fills a core until it is done."""

from __future__ import annotations

from threading import Semaphore

SHORT_SECONDS = 900.0
"""Books up to this length have turns of their own, which last seconds: a page sent while novels
are mastered does not wait for minutes."""


class MasteringTurns:
    """How many books may be mastered at a time; safe to use from any thread.

    Args:
        at_a_time: so many short books, and as many longer ones.
    """

    def __init__(self, at_a_time: int = 1) -> None:
        self._short = Semaphore(at_a_time)
        self._long = Semaphore(at_a_time)

    def of(self, seconds: float) -> Semaphore:
        """What to hold while a book is mastered.

        Args:
            seconds: of speech in the book.
        """
        return self._short if seconds <= SHORT_SECONDS else self._long
