"""The processes that speak."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from darkchannel.production.pool import NICENESS, speech_workers


def test_workers_let_short_work_go_first() -> None:
    """Requests, the store and a person's own programs get their core before hours of speech."""
    with speech_workers(1) as executor:
        theirs = executor.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert theirs == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


def test_a_pool_given_up_prints_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were cancelled before their workers are ended are not failed a second time."""
    traces: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: traces.append(repr(args)))
    shut_down = ProcessPoolExecutor.shutdown

    def late(self: ProcessPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As on a busy machine: the pool hears of its end long after the call for it."""
        time.sleep(0.5)
        shut_down(self, wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(ProcessPoolExecutor, "shutdown", late)
    with contextlib.suppress(KeyError), speech_workers(1) as executor:
        calls = [executor.submit(time.sleep, 0.1) for _ in range(8)]
        manager = vars(executor)["_executor_manager_thread"]
        for call in calls:
            call.cancel()
        raise KeyError
    manager.join(10)
    assert not manager.is_alive()
    assert traces == []
