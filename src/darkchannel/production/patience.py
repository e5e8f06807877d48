"""Waiting for a store that went away: a job of hours does not end with a restart of its store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from darkchannel.errors import StoreUnavailableError
from darkchannel.storage.retry import retrying

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long a run waits for the store to answer again before it gives up."""


def patiently(call: Callable[[], T], meanwhile: Callable[[], object] = lambda: None) -> T:
    """Do something that may be done twice, again and again until the store answers.

    Args:
        call: what to do.
        meanwhile: called before each wait; raises to end the waiting.

    Raises:
        StoreUnavailableError: it stayed away for :data:`PATIENCE_SECONDS`.
    """

    def on_wait(_delay: float, _error: StoreUnavailableError) -> None:
        meanwhile()

    return retrying(call, attempts=None, deadline=PATIENCE_SECONDS, on_wait=on_wait)
