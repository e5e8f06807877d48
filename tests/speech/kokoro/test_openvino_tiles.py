"""Threads that share the graphs of the generator's layers."""

from __future__ import annotations

import threading
import time

from darkchannel.speech.kokoro.openvino_tiles import Turns


def test_whoever_waits_comes_before_whoever_has_just_had_it() -> None:
    """A thread that gives up its turn and asks again at once is second to one that waits."""
    turns, had = Turns(), []

    def ask() -> None:
        with turns:
            had.append("who waited")

    waiting = threading.Thread(target=ask)
    with turns:
        waiting.start()
        deadline = time.monotonic() + 10
        while not turns._next.locked():
            assert time.monotonic() < deadline
            time.sleep(0.001)
    with turns:
        had.append("who had it")
    waiting.join(10)
    assert had == ["who waited", "who had it"]


def test_a_turn_ends_with_an_error() -> None:
    """What goes wrong in one leaves it to the next."""
    turns = Turns()
    try:
        with turns:
            raise ValueError
    except ValueError:
        pass
    with turns:
        pass
