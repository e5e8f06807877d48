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
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait


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
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        max_workers=count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        yield executor
    except BaseException:
        # A worker in the middle of a chunk would hold up Ctrl-C for as long as it speaks.
        _kill(set(multiprocessing.active_children()) - before)
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown(wait=True)


def _kill(workers: set[multiprocessing.process.BaseProcess]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join(timeout=1.0)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    # A pool's own pipes are open in every worker, so none of them sees the end of a parent
    # that was killed; the parent's sentinel does not have that fault.
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os._exit(1)
