"""Many processes change one document by compare-and-swap."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from multiprocessing.connection import Connection

from benchmarks.store_process import child
from benchmarks.table import Row
from darkchannel.config import StoreConfig
from darkchannel.errors import JobBusyError
from darkchannel.storage import MinIOClient
from darkchannel.storage.state import Document, StateStore

WRITERS = 8


def race(store: StoreConfig, increments: int) -> list[Row]:
    """Each writer adds one so many times; none may be lost, and none counted twice."""
    key = f"benchmark/{uuid.uuid4().hex}.json"
    state = _state(store)
    state.create(key, {"count": 0})
    with ExitStack() as stack:
        pipes = [stack.enter_context(child(_count, store, key, increments)) for _ in range(WRITERS)]
        for pipe in pipes:
            pipe.recv()  # it is ready
        began = time.perf_counter()
        for pipe in pipes:
            pipe.send("go")
        efforts = [pipe.recv() for pipe in pipes]
        taken = time.perf_counter() - began
    expected = WRITERS * increments
    count = state.read(key).document["count"]
    attempts = sum(attempts for attempts, _ in efforts) / expected
    busy = sum(busy for _, busy in efforts)
    what = f"compare-and-swap, {WRITERS} processes x {increments} increments"
    return [
        Row(f"{what}: count", f"{count:,}", f"{expected:,}", count == expected),
        Row("increments a second", f"{expected / taken:.0f}", "", True),
        Row("attempts an increment", f"{attempts:.1f}", "", True),
        Row("times a writer was told that the document is busy", f"{busy}", "", True),
    ]


def _count(store: StoreConfig, key: str, increments: int, pipe: Connection) -> None:
    state = _state(store)
    state.read(key)  # connects
    attempts = busy = 0

    def add(document: Document, _: float) -> Document:
        nonlocal attempts
        attempts += 1
        return {**document, "count": document["count"] + 1}

    pipe.send("ready")
    pipe.recv()
    done = 0
    while done < increments:
        try:
            state.change(key, add)
            done += 1
        except JobBusyError:
            busy += 1
    pipe.send((attempts, busy))


def _state(store: StoreConfig) -> StateStore:
    return StateStore(MinIOClient(store), store.buckets.jobs, _accept)


def _accept(key: str, document: Document) -> None:
    """Any document will do."""
