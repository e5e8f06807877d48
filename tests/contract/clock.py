"""Time that passes when a test says so."""

from __future__ import annotations

import time


class Clock:
    """A clock of our own, so that leases expire without waiting."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now
