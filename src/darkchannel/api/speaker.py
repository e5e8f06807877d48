"""What the routes of a speech service share: engine, workers, store, and threads for waiting."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import FastAPI, Request

from darkchannel.api.application import Service
from darkchannel.api.readiness import Readiness
from darkchannel.api.turns import Turns
from darkchannel.errors import DarkChannelError
from darkchannel.models import Chunk
from darkchannel.production.speaking import SpeechParts, Spoken, speak_take

T = TypeVar("T")

_STORE_THREADS = 16


class Speaker:
    """What the routes share: the engine's workers, the store, and threads for what blocks."""

    def __init__(self, service: Service, parts: SpeechParts) -> None:
        self.service = service
        self.parts = parts
        self.metrics = service.metrics
        self.engine = parts.make_engine()
        self.turns = Turns(
            parts.pool,
            workers=parts.workers,
            places=service.settings.http.queue,
            metrics=service.metrics,
        )
        self.readiness = Readiness(parts, self.turns, service.drain)
        # One thread, because one engine is used by one thread at a time.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._store = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")

    @asynccontextmanager
    async def running(self, _app: FastAPI) -> AsyncIterator[None]:
        """Load the model meanwhile, and end everything at the end."""
        tending = asyncio.create_task(self.readiness.tend())
        try:
            yield
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
            self.turns.close()
            for threads in (self._reader, self._store):
                threads.shutdown(wait=False, cancel_futures=True)
            self.readiness.close()

    async def read(self, call: Callable[..., T], *args: object) -> T:
        """Have a text read and its tokens counted; the engine is the last argument."""
        return await self._in(self._reader, functools.partial(call, *args, self.engine))

    async def store(self, call: Callable[[], T]) -> T:
        """Talk to the store."""
        return await self._in(self._store, call)

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        """Wait in a thread; what goes wrong with the store is counted."""
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        except DarkChannelError as error:
            self.metrics.failed_with(error)
            raise

    async def spoken(self, request: Request | None, chunk: Chunk, key: str) -> Spoken:
        """Have a chunk spoken when it is its turn; see :meth:`.turns.Turns.run`."""
        spoken: Spoken = await self.turns.run(
            request, speak_take, self.parts.make_engine, chunk, key
        )
        self.metrics.rendered(spoken.take.seconds, spoken.take.render_seconds)
        return spoken
