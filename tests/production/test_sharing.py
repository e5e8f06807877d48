"""Speech workers shared by jobs: fair turns, and a job that kills them alone."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.production.pool import speech_threads, speech_workers
from darkchannel.production.sharing import SharedPool
from tests.storage.embedded_processes import wait_for


class Diary:
    """Notes in which order calls were made, and how many at once; holds them up until opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.calls: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def call(self, name: str) -> str:
        """Note a call."""
        assert self.opened.wait(20)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.calls.append(name)
        time.sleep(0.001)
        with self._lock:
            self._now -= 1
        return name


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def shared() -> Iterator[SharedPool]:
    pool = SharedPool(partial(speech_threads, 2), 2)
    yield pool
    pool.close()


def submit(executor: Executor, diary: Diary, name: str, count: int) -> list[Future[str]]:
    return [executor.submit(diary.call, name) for _ in range(count)]


def test_a_page_is_done_while_books_go_on(shared: SharedPool, diary: Diary) -> None:
    """A page of 10 chunks, sent after nine books of 100, is done within 40 chunks of all."""
    with contextlib.ExitStack() as stack:
        futures = []
        for book in range(9):
            futures += submit(stack.enter_context(shared.share()), diary, f"book-{book}", 100)
        diary.opened.set()
        while len(diary.calls) < 400:  # all books are past their own beginning
            time.sleep(0.001)
        sent = len(diary.calls)
        page = submit(stack.enter_context(shared.share()), diary, "page", 10)
        wait(page, timeout=20)
        wait(futures, timeout=20)
    places = [place for place, name in enumerate(diary.calls) if name == "page"]
    assert len(places) == 10
    assert places[-1] - sent < 40
    assert diary.most <= 2
    # Books among themselves take turns: none is far behind another.
    counts = [diary.calls[:600].count(f"book-{book}") for book in range(9)]
    assert max(counts) - min(counts) <= 4


def test_a_priority_is_a_share(shared: SharedPool, diary: Diary) -> None:
    """A job of priority 30 gets three chunks' turns for each one of a job of priority 10."""
    with shared.share(30) as high, shared.share(10) as low:
        futures = [*submit(low, diary, "low", 200), *submit(high, diary, "high", 200)]
        diary.opened.set()
        wait(futures, timeout=20)
    early = diary.calls[80:240]
    assert 2.4 < early.count("high") / early.count("low") < 3.6


def test_what_waits_at_the_end_of_a_job_is_dropped(shared: SharedPool, diary: Diary) -> None:
    """Leaving cancels what has not begun, and the workers go on with other jobs."""
    with shared.share() as first:
        left = submit(first, diary, "left", 50)
    with shared.share() as second:
        kept = submit(second, diary, "kept", 5)
        diary.opened.set()
        assert [future.result(20) for future in kept] == ["kept"] * 5
    assert sum(future.cancelled() for future in left) >= 46
    assert diary.calls.count("left") <= 4
    with pytest.raises(RuntimeError):
        first.submit(diary.call, "late")


def test_closing_fails_what_waits(diary: Diary) -> None:
    """Nobody waits for ever on workers that were stopped."""
    pool = SharedPool(partial(speech_threads, 1), 1)
    with pool.share() as executor:
        futures = submit(executor, diary, "x", 5)
        pool.close()
        for future in futures:
            with pytest.raises(EngineUnavailableError):
                future.result(5)
    diary.opened.set()


def die() -> None:
    os._exit(9)


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os._exit(9)
    return "second time"


def dawdle(number: int) -> int:
    time.sleep(0.02)
    return number


@pytest.mark.slow
def test_a_call_that_kills_workers_is_found(tmp_path: Path) -> None:
    """Its job hears of it; other jobs' calls, under way beside it, are done nevertheless."""
    pool = SharedPool(partial(speech_workers, 2), 2)
    try:
        with pool.share() as killer, pool.share() as other:
            innocent: list[Future[int]] = []
            for number in range(20):
                innocent.append(other.submit(dawdle, number))
            marker = tmp_path / "died"
            once = killer.submit(die_once, marker)
            # Only its first time is fatal; beside another that kills, it might not have begun.
            assert wait_for(marker.exists, 60)
            fatal = killer.submit(die)
            with pytest.raises(BrokenExecutor):
                fatal.result(60)
            assert once.result(60) == "second time"
            assert [future.result(60) for future in innocent] == list(range(20))
    finally:
        pool.close()


def test_a_pool_that_cannot_be_made_is_told(diary: Diary) -> None:
    """Whoever waits hears why there are no workers, and the next call tries again."""
    attempts: list[int] = []

    @contextlib.contextmanager
    def pool() -> Iterator[Executor]:
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineUnavailableError("no weights")
        with ThreadPoolExecutor(1) as executor:
            yield executor

    shared = SharedPool(pool, 1)
    diary.opened.set()
    call: Callable[[str], str] = diary.call
    with shared.share() as executor:
        with pytest.raises(EngineUnavailableError, match="weights"):
            executor.submit(call, "first").result(5)
        assert executor.submit(call, "second").result(5) == "second"
    shared.close()
