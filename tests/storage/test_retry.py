"""Trying again while the store does not answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from darkchannel.errors import NotFoundError, StoreUnavailableError
from darkchannel.storage.retry import LONGEST_DELAY, backoff, retrying


def failing(times: int, error: type[Exception] = StoreUnavailableError) -> Callable[[], int]:
    """A call that fails so many times and then returns how often it was made."""
    calls = 0

    def call() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error("gone")
        return calls

    return call


def test_an_answer_after_some_failures_is_returned() -> None:
    """Each failure is waited out, longer each time, and whoever waits is told."""
    told: list[float] = []
    slept: list[float] = []
    result = retrying(
        failing(3), attempts=4, on_wait=lambda delay, _: told.append(delay), sleep=slept.append
    )
    assert result == 4
    assert told == slept
    assert len(slept) == 3
    assert slept[0] <= 0.2 < slept[2] <= 0.8


def test_attempts_are_bounded() -> None:
    """The last error is raised when the attempts are used up."""
    call = failing(3)
    with pytest.raises(StoreUnavailableError):
        retrying(call, attempts=3, sleep=lambda _: None)
    assert call() == 4


def test_time_is_bounded() -> None:
    """No attempt begins after the deadline, and none is given up before it."""
    slept: list[float] = []
    with pytest.raises(StoreUnavailableError):
        retrying(failing(10_000), attempts=None, deadline=0.0, sleep=slept.append)
    assert slept == []
    assert retrying(failing(2), attempts=None, deadline=60, sleep=slept.append) == 3


def test_other_errors_are_not_tried_again() -> None:
    """What trying again cannot mend goes straight through."""
    call = failing(1, NotFoundError)
    with pytest.raises(NotFoundError):
        retrying(call, sleep=lambda _: None)
    assert call() == 2


def test_waiting_can_be_ended_from_outside() -> None:
    """What on_wait raises, a cancellation for one, ends the trying."""

    def stop(delay: float, error: StoreUnavailableError) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrying(failing(9), on_wait=stop)


def test_waits_double_up_to_a_bound_and_differ() -> None:
    """Many waiting processes do not come back all at once."""
    assert 0.1 <= backoff(1) <= 0.2
    assert LONGEST_DELAY / 2 <= backoff(10_000) <= LONGEST_DELAY
    assert len({backoff(5) for _ in range(20)}) > 1


def test_unbounded_trying_is_refused() -> None:
    """One of the two bounds is needed."""
    with pytest.raises(ValueError, match="deadline"):
        retrying(failing(1), attempts=None)
