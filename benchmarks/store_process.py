"""A process of our own beside this one, and a pipe to it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def child(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run ``target(*arguments, pipe)`` in a fresh interpreter until the context ends.

    Receiving from the pipe of a child that has died raises EOFError; its traceback is on stderr.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()
