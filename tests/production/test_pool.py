"""The processes that speak."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from darkchannel.errors import SynthesisError
from darkchannel.production.pool import NICENESS, Pool, begun, speech_process, speech_workers


def test_workers_let_short_work_go_first() -> None:
    """Requests, the store and a person's own programs get their core before hours of speech."""
    with speech_workers(1) as executor:
        theirs = executor.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert theirs == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


POOLS = pytest.mark.parametrize(
    "pool", [partial(speech_workers, 1), partial(speech_process, 1)], ids=["processes", "threads"]
)


def tell_process(file: Path) -> None:
    """Say where this runs."""
    file.with_suffix(".draft").write_text(str(os.getpid()))
    file.with_suffix(".draft").rename(file)


def written(file: Path) -> str:
    """What a file says as soon as it is there."""
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} never came"
        time.sleep(0.01)
    return file.read_text()


@POOLS
def test_workers_begin_before_anything_is_asked(pool: Pool, tmp_path: Path) -> None:
    """The first use has the workers that began, and another has new ones."""
    with begun(pool, partial(tell_process, tmp_path / "first"), 1) as begun_pool:
        early = int(written(tmp_path / "first"))
        with begun_pool() as executor:
            assert executor.submit(os.getpid).result(timeout=30) == early
        assert not psutil.pid_exists(early)
        with begun_pool() as executor:
            assert executor.submit(os.getpid).result(timeout=30) != early


def tell_and_stay(file: Path) -> None:
    """Say where this runs, and be long."""
    tell_process(file)
    time.sleep(60)


@POOLS
def test_workers_nobody_asked_end_at_once(pool: Pool, tmp_path: Path) -> None:
    """A book that is there already, or a store that is not, does not wait for what they load."""
    began = time.monotonic()
    with (
        contextlib.suppress(KeyError),
        begun(pool, partial(tell_and_stay, tmp_path / "first"), 1),
    ):
        early = int(written(tmp_path / "first"))
        raise KeyError
    while psutil.pid_exists(early):
        assert time.monotonic() < began + 30
        time.sleep(0.01)


@POOLS
def test_what_fails_early_is_told_by_who_needs_it(pool: Pool) -> None:
    """A worker that could not load says so at its first chunk, and is there to do it."""
    with begun(pool, fail, 1) as begun_pool, begun_pool() as executor:
        assert executor.submit(os.getpid).result(timeout=30) != os.getpid()
        with pytest.raises(SynthesisError, match="chunk 7"):
            executor.submit(fail).result(timeout=30)


def free_much() -> int:
    """Bytes that are still held of some megabytes that came and went."""
    process = psutil.Process()
    before = process.memory_info().rss
    for size in (30_000_000, 20_000_000):  # the first teaches the C library to keep the second
        bytearray(b"x") * size
    return int(process.memory_info().rss - before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give back what is freed")
def test_what_a_worker_frees_goes_back() -> None:
    """Two that speak would keep a hundred megabytes, which are nobody's."""
    with speech_workers(1) as executor:
        assert executor.submit(free_much).result() < 5_000_000


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


def meet(barrier_folder: str) -> tuple[int, int]:
    """Wait until another call is under way in the same process."""
    name = threading.get_ident()
    Path(barrier_folder, str(name)).touch()
    deadline = time.monotonic() + 20
    while len(list(Path(barrier_folder).iterdir())) < 2:
        assert time.monotonic() < deadline, "the other call never came"
        time.sleep(0.01)
    return os.getpid(), name


def test_threads_of_one_process_speak_at_a_time(tmp_path: Path) -> None:
    """Two calls meet in one other process, in two threads, and short work goes before them."""
    with speech_process(2) as executor:
        calls = [executor.submit(meet, str(tmp_path)) for _ in range(2)]
        (process, one), (same, two) = (call.result(timeout=30) for call in calls)
        theirs = executor.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert process == same != os.getpid()
    assert one != two
    assert theirs == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
    assert not psutil.pid_exists(process)


def test_an_error_comes_back_as_it_was_raised() -> None:
    """Its kind, what it says and where it was raised; and the worker speaks on."""
    with speech_process(1) as executor:
        with pytest.raises(SynthesisError, match="chunk 7") as raised:
            executor.submit(fail).result(timeout=30)
        assert raised.value.chunk == 7
        assert "in fail" in "".join(raised.value.__notes__)
        assert executor.submit(os.getpid).result(timeout=30) != os.getpid()


def fail() -> None:
    """A chunk that cannot be spoken."""
    raise SynthesisError("chunk 7 came out silent", chunk=7)


def fail_unsendably() -> None:
    """An error that holds what no other process can be given."""

    class LockedError(Exception):
        lock = threading.Lock()

    raise LockedError


def end_early() -> None:
    """As a file that was cut does: no sign that the parent has gone."""
    raise EOFError


def test_an_answer_that_cannot_travel_is_an_error() -> None:
    """Nobody waits for ever for something that could not be sent."""
    with speech_process(1) as executor:
        with pytest.raises(TypeError, match="pickle"):
            executor.submit(threading.Lock).result(timeout=30)
        with pytest.raises(RuntimeError, match="LockedError"):
            executor.submit(fail_unsendably).result(timeout=30)
        with pytest.raises(EOFError):
            executor.submit(end_early).result(timeout=30)
        assert executor.submit(os.getpid).result(timeout=30) != os.getpid()


def test_a_process_that_dies_says_so_and_nothing_hangs() -> None:
    """What ran, what waited and what is asked afterwards all fail with the same kind of error."""
    with speech_process(2) as executor:
        process = executor.submit(os.getpid).result(timeout=30)
        running = [executor.submit(time.sleep, 60) for _ in range(4)]
        time.sleep(0.2)
        os.kill(process, signal.SIGKILL)
        for call in running:
            with pytest.raises(BrokenExecutor):
                call.result(timeout=30)
        with pytest.raises(BrokenExecutor):
            executor.submit(os.getpid).result(timeout=30)


def test_a_pool_given_up_ends_its_process_at_once() -> None:
    """On Ctrl-C nobody waits for the chunk that is being spoken."""
    began = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), speech_process(2) as executor:
        process = executor.submit(os.getpid).result(timeout=30)
        calls = [executor.submit(time.sleep, 60) for _ in range(6)]
        raise KeyboardInterrupt
    assert time.monotonic() - began < 20
    assert all(call.done() for call in calls)
    assert not psutil.pid_exists(process)


PARENT = """
import sys, time
from darkchannel.production.pool import speech_process
import os
if __name__ == "__main__":
    with speech_process(1) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


class Loaded:
    """What a thread holds as long as it is there."""

    held = threading.local()

    def __init__(self, file: Path) -> None:
        self._file = file

    def __del__(self) -> None:
        self._file.write_text("taken apart")


def load(file: Path) -> None:
    """Hold something in this thread."""
    Loaded.held.value = Loaded(file)


def test_a_process_ends_without_taking_apart_what_it_loaded(tmp_path: Path) -> None:
    """That takes a second for compiled graphs, and the system does it at once."""
    with speech_process(2) as executor:
        executor.submit(load, tmp_path / "left").result()
    assert not (tmp_path / "left").exists()


def test_a_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Also one that is killed: nobody is left behind to fill a core."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker)
