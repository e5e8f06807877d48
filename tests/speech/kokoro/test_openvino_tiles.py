"""Threads that share the graphs of the generator's layers."""

from __future__ import annotations

import threading
import time

import pytest

from darkchannel.speech.kokoro.openvino_tiles import Turns


@pytest.mark.parametrize(("waiting", "first"), [(1, "who waited"), (3, "who had it")])
def test_whoever_has_less_to_do_goes_first(waiting: int, first: str) -> None:
    """Who gives up a turn and wants two more is second to who wants one, not to who wants three."""
    turns, had = Turns(), []

    def ask() -> None:
        with turns.turn(waiting):
            had.append("who waited")

    other = threading.Thread(target=ask)
    with turns.turn(3):
        other.start()
        deadline = time.monotonic() + 10
        while not turns._waiting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    with turns.turn(2):
        had.append("who had it")
    other.join(10)
    assert had[0] == first
    assert len(had) == 2


def test_one_has_it_at_a_time() -> None:
    """However many want it; and all are served."""
    turns, inside, most = Turns(), [], []

    def work(rounds: int) -> None:
        for left in range(rounds, 0, -1):
            with turns.turn(left):
                inside.append(left)
                time.sleep(0)  # whoever may run runs
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(rounds,)) for rounds in (5, 50, 50, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 605


def test_a_turn_ends_with_an_error() -> None:
    """What goes wrong in one leaves it to the next."""
    turns = Turns()
    with pytest.raises(ValueError, match="wrong"), turns.turn(2):
        raise ValueError("wrong")
    with turns.turn(1):
        pass
