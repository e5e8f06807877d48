"""Pools of speech workers: processes, the threads of one process, or threads of this one.

Workers are expendable by design: a take counts only once it is whole in the store, so a worker
may be killed at any moment, and is, on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Pool = Callable[[], AbstractContextManager[Executor]]
"""Makes an executor for one use; called again when its workers died."""

NICENESS = 10
"""Of the workers.  Speaking fills every core for hours; what is left waiting for a core then is
short: the parent's requests, the store's answers, an API's, a person's other work.  The kernel
gives them their turn first, and the workers all the rest, so that the whole takes no longer.
"""


_MOST_FREE = 1_000_000
"""Bytes that a worker keeps for itself when it has freed them.  Left to itself, the C library keeps
up to twice the largest piece that was ever freed, for each thread: 75 MB of a speaking thread's."""

_M_TRIM_THRESHOLD = -1  # of malloc.h


def default_workers() -> int:
    """One for each core this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def speech_workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of single-threaded processes that ends with its parent, whatever ends the parent.

    Processes are spawned, not forked: engines, store clients and their threads do not survive
    a fork.

    Args:
        count: how many processes.
    """
    leash, hand = _leash()
    executor = ProcessPoolExecutor(
        max_workers=count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(leash,),
    )
    try:
        yield executor
    except BaseException:
        # The pool first forgets what was cancelled: with its workers dead it would fail those
        # futures too, and not every Python can (3.11.7 ends in a trace of its thread).
        executor.shutdown(wait=False, cancel_futures=True)
        # A worker in the middle of a chunk would hold up Ctrl-C for as long as it speaks.
        hand.close()
        raise
    else:
        executor.shutdown(wait=True)
    finally:
        hand.close()
        leash.close()


@contextmanager
def speech_process(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of the threads of one other process, for engines that share what they load.

    It ends with its parent as :func:`speech_workers` do, and when it dies, so do all its threads:
    what they were at fails with BrokenExecutor, and what is asked of the pool afterwards.

    Args:
        count: how many threads.
    """
    context = multiprocessing.get_context("spawn")
    leash, hand = _leash()
    with ExitStack() as stack:
        stack.callback(leash.close)
        stack.callback(hand.close)
        pipes = [context.Pipe() for _ in range(count)]
        theirs = [pipe for _ours, pipe in pipes]
        process = context.Process(target=_serve, args=(leash, theirs))
        process.start()
        stack.callback(process.join)
        for ours, pipe in pipes:
            stack.callback(ours.close)
            pipe.close()  # so that the process's end of it is the only one, and its end is heard
        executor = _Remote([ours for ours, _theirs in pipes])
        try:
            yield executor
        except BaseException:
            hand.close()  # as above
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        executor.shutdown(wait=True)


@contextmanager
def begun(pool: Pool, first: Callable[[], object], count: int) -> Iterator[Pool]:
    """A pool whose workers are started now, to load while other things are made ready.

    Workers that were never asked for end at once.

    Args:
        pool: makes an executor; called now, and again for each use after the first.
        first: what its workers do; a failure is told by whoever needs what it was to do.
        count: how often.
    """
    entered = ExitStack()
    waiting = [entered.enter_context(pool())]

    @contextmanager
    def begun_or_new() -> Iterator[Executor]:
        if waiting:
            with entered:
                yield waiting.pop()
        else:
            with pool() as executor:
                yield executor

    try:
        for _ in range(count):
            waiting[0].submit(first)
        yield begun_or_new
    finally:
        give_up(entered)  # which after a use is empty


def give_up(entered: ExitStack) -> None:
    """End the workers of an entered pool at once, instead of waiting for what they do."""
    with contextlib.suppress(_GivenUpError), entered:
        raise _GivenUpError


class _GivenUpError(Exception):
    """Tells a pool that nobody waits for its workers."""


class _Answer(NamedTuple):
    """What became of a call."""

    result: Any
    error: BaseException | None = None
    trace: str = ""


class _Remote(ThreadPoolExecutor):
    """Threads that have calls made at the other ends of their pipes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        super().__init__(len(pipes), thread_name_prefix="speech")
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for pipe in pipes:
            self._free.put(pipe)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a call made; function and arguments travel, so they must be picklable."""
        return super().submit(self._ask, (fn, args, kwargs))

    def _ask(self, call: Any) -> Any:
        pipe = self._free.get()
        try:
            pipe.send(call)
            answer: _Answer = pipe.recv()
        except (EOFError, OSError) as error:
            raise BrokenExecutor("the speech process ended before it was done") from error
        finally:
            self._free.put(pipe)
        if answer.error is not None:
            answer.error.add_note(f"In the speech process:\n{answer.trace}")
            raise answer.error
        return answer.result


def _serve(leash: Connection, pipes: Sequence[Connection]) -> None:
    """Make calls, those of each pipe in a thread of its own, until the pipes are closed."""
    _start_worker(leash)
    closed = threading.Semaphore(0)
    for pipe in pipes:
        threading.Thread(target=_answer_calls, args=(pipe, closed), name="speech").start()
    for _ in pipes:
        closed.acquire()
    os._exit(0)  # taking apart what was loaded is the system's work, which does it at once


def _answer_calls(pipe: Connection, closed: threading.Semaphore) -> None:
    while True:
        try:
            call = pipe.recv_bytes()
        except EOFError:
            break
        pipe.send_bytes(_made(call))
    closed.release()
    # A thread that ended would take its engine apart, which lasts a second.
    threading.Event().wait()


def _made(call: bytes) -> bytes:
    """The answer to a call; whatever goes wrong is one."""
    try:
        fn, args, kwargs = pickle.loads(call)  # noqa: S301 - our parent's
        return pickle.dumps(_Answer(fn(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - raised again where the answer is read
        trace = traceback.format_exc()
        with contextlib.suppress(Exception):
            return pickle.dumps(_Answer(None, error, trace))
        return pickle.dumps(_Answer(None, RuntimeError(f"{type(error).__name__}: {error}"), trace))


@contextmanager
def speech_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, for engines that hardly compute.

    Args:
        count: how many.
    """
    executor = ThreadPoolExecutor(count, thread_name_prefix="speech")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _leash() -> tuple[Connection, Connection]:
    """A pipe whose reading end workers hold, and see the end of when the writing end is closed.

    By us on Ctrl-C, by the kernel when we are killed.  A pool's own pipes cannot tell: each worker
    of several holds both ends of those.
    """
    return multiprocessing.Pipe(duplex=False)


def _start_worker(leash: Connection) -> None:
    """Leave Ctrl-C to the parent, end when it ends, keep little, and let short work go first."""
    os.nice(NICENESS)
    _give_memory_back()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(leash,), name="leash", daemon=True).start()


def _give_memory_back() -> None:
    """Have what is freed go back to the system, where the C library can be told to."""
    with contextlib.suppress(AttributeError, OSError):  # it is another than glibc
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _MOST_FREE)


def _end_with(leash: Connection) -> None:
    wait([leash])
    os._exit(1)
