"""The pool of speech workers: one single-threaded process for each core.

Workers are expendable by design: a take counts only once it is whole in the store, so a worker
may be killed at any moment, and is, on Ctrl-C.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait

NICENESS = 10
"""Of the workers.  Speaking fills every core for hours; what is left waiting for a core then is
short: the parent's requests, the store's answers, an API's, a person's other work.  The kernel
gives them their turn first, and the workers all the rest, so that the whole takes no longer.
"""


def default_workers() -> int:
    """One for each core this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def speech_workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of worker processes that ends with its parent, whatever ends the parent.

    Processes are spawned, not forked: engines, store clients and their threads do not survive
    a fork.

    Args:
        count: how many processes.
    """
    # Workers hold the reading end and see its end when the writing end is closed: by us on
    # Ctrl-C, by the kernel when we are killed.  The pool's own pipes cannot tell, since each
    # worker holds both ends of those.
    leash, hand = multiprocessing.Pipe(duplex=False)
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


def _start_worker(leash: Connection) -> None:
    """Leave Ctrl-C to the parent, end when it ends, and let short work go first."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(leash,), name="leash", daemon=True).start()


def _end_with(leash: Connection) -> None:
    wait([leash])
    os._exit(1)
