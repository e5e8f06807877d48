"""Trying again while the store does not answer: the one place that decides when and how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from darkchannel.errors import StoreUnavailableError

T = TypeVar("T")

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0


def backoff(attempt: int, *, first: float = FIRST_DELAY, longest: float = LONGEST_DELAY) -> float:
    """Seconds to wait after the given failed attempt (from 1).

    Doubles each time up to a bound; half of it is random, so that many waiting processes do
    not come back all at once.
    """
    whole = min(longest, first * 2.0 ** min(attempt - 1, 30))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards no secret


def retrying(
    call: Callable[[], T],
    *,
    attempts: int | None = 5,
    deadline: float | None = None,
    on_wait: Callable[[float, StoreUnavailableError], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call until the store answers.

    Only for calls that may happen twice: reads, and writes that do not depend on what is there.

    Args:
        call: what to do; anything it raises but StoreUnavailableError goes straight through.
        attempts: how often at most; None for no bound (then give a deadline).
        deadline: seconds from now after which no further attempt begins; None for no bound.
        on_wait: told the seconds until the next attempt and the error, before each wait; what
            it raises ends the trying.
        sleep: waits that many seconds; may raise to end the trying.

    Returns:
        What the call returned.

    Raises:
        StoreUnavailableError: the last one, when attempts or time are used up.
    """
    if attempts is None and deadline is None:
        raise ValueError("give attempts, a deadline, or both")
    end = None if deadline is None else time.monotonic() + deadline
    attempt = 0
    while True:
        attempt += 1
        try:
            return call()
        except StoreUnavailableError as error:
            delay = backoff(attempt)
            if attempts is not None and attempt >= attempts:
                raise
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                delay = min(delay, left)
            if on_wait is not None:
                on_wait(delay, error)
            sleep(delay)
