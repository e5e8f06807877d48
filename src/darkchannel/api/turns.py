"""The line in front of the speech workers: first come, first served, and never endless."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, asynccontextmanager
from typing import TypeVar

from starlette.requests import Request

from darkchannel.api.metrics import ChunkResult, Metrics
from darkchannel.errors import DarkChannelError, EngineBusyError, EngineUnavailableError
from darkchannel.production.pool import Pool, give_up

LOG = logging.getLogger("darkchannel.speech")
T = TypeVar("T")

_ATTEMPTS = 2
"""Workers that die (of memory, say) are replaced; a chunk that kills them twice is refused."""


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class Turns:
    """So many workers, so many places in the line, and beyond that a refusal.

    A request takes one place however many chunks it has; its chunks take turns with those of
    others, so that a long text does not hold up a short one.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        workers: int,
        places: int,
        metrics: Metrics,
    ) -> None:
        """Make the line; workers are started by the first chunk.

        Args:
            pool: makes the workers.
            workers: chunks spoken at a time.
            places: requests that may wait beside those being worked on.
            metrics: where chunks are counted.
        """
        self._pool = pool
        self._most = workers + places
        self._free = asyncio.Semaphore(workers)
        self._metrics = metrics
        self._admitted = 0
        self._waiting = 0
        self._executor: Executor | None = None
        self._stack = ExitStack()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in the line for one request.

        Raises:
            EngineBusyError: there is none left.
        """
        if self._admitted >= self._most:
            self._metrics.chunks.labels(ChunkResult.REFUSED.value).inc()
            raise EngineBusyError(
                f"{self._admitted} requests are waiting, more than may",
                remedy="try again later, or send it to another replica",
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, request: Request | None, call: Callable[..., T], *args: object) -> T:
        """Have a worker do something, when it is this one's turn.

        What a worker has begun it finishes, and only then takes the next, whether anybody still
        waits for it or not.

        Args:
            request: whose client is watched until then: if it leaves, nothing is done.  None if
                somebody else watches it, and cancels this.
            call: what to do, in a worker.
            args: of the call.

        Raises:
            ClientLeftError: the client left before its turn.
            EngineUnavailableError: workers keep dying of it.
            Exception: what the call raises.
        """
        for _ in range(_ATTEMPTS):
            await (self._turn() if request is None else self._turn_unless_left(request))
            try:
                executor = self._workers()
                future = executor.submit(call, *args)
            except BaseException as error:
                self._free.release()
                if not isinstance(error, BrokenExecutor):
                    raise
                self._replace(executor)
                continue
            self._release_after(future)
            try:
                return await asyncio.wrap_future(future)
            except BrokenExecutor:
                self._replace(executor)
            except DarkChannelError:
                self._metrics.chunks.labels(ChunkResult.FAILED.value).inc()
                raise
        self._metrics.chunks.labels(ChunkResult.FAILED.value).inc()
        raise EngineUnavailableError(
            f"speech workers died {_ATTEMPTS} times", remedy="see whether memory ran out"
        )

    def close(self) -> None:
        """End the workers at once: whoever stops has waited for them before."""
        entered, self._stack, self._executor = self._stack, ExitStack(), None
        give_up(entered)

    async def _turn(self) -> None:
        self._waiting += 1
        self._metrics.queue_depth.set(self._waiting)
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            self._metrics.queue_depth.set(self._waiting)

    async def _turn_unless_left(self, request: Request) -> None:
        turn, leaving = asyncio.ensure_future(self._turn()), asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({turn, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if turn.done():
                return turn.result()
            self._metrics.chunks.labels(ChunkResult.ABANDONED.value).inc()
            raise ClientLeftError
        finally:
            turn.cancel()
            leaving.cancel()
            await asyncio.gather(turn, leaving, return_exceptions=True)

    def _release_after(self, future: Future[T]) -> None:
        loop = asyncio.get_running_loop()

        def release(_: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._free.release)

        future.add_done_callback(release)

    def _workers(self) -> Executor:
        if self._executor is None:
            self._executor = self._stack.enter_context(self._pool())
        return self._executor

    def _replace(self, broken: Executor) -> None:
        if self._executor is broken:
            LOG.error("speech workers died and are replaced")
            self.close()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
