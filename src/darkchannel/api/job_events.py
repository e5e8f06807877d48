"""A job's changes as server-sent events, whose ids are its revisions.

Events are states, not a history: who was away gets the present one, if it has changed since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from darkchannel.api.jobs_models import JobAnswer
from darkchannel.api.jobs_service import JobsService
from darkchannel.errors import DarkChannelError, EngineBusyError, UnavailableError
from darkchannel.models import JobStatus

MOST_STREAMS = 200
POLL_SECONDS = 1.0
"""A job's metadata changes no more often than that while it is rendered."""

_KEEP_ALIVE_SECONDS = 15.0
_TICK_SECONDS = 0.25


class Streams:
    """The streams open at this moment: so many, and no more."""

    def __init__(self, service: JobsService) -> None:
        self._service = service
        self._open = 0

    def enter(self) -> None:
        """Count one more.

        Raises:
            EngineBusyError: there are too many.
        """
        if self._open >= MOST_STREAMS:
            raise EngineBusyError("too many event streams are open", remedy="try again later")
        self._open += 1

    def leave(self) -> None:
        """Count one less."""
        self._open -= 1

    async def follow(self, job: Mapping[str, Any], last: int) -> AsyncIterator[bytes]:
        """The events of a job, until it ends, the client leaves or the service stops.

        Args:
            job: its metadata now.
            last: revision the client knows; -1 for none.
        """
        self.enter()
        try:
            async for event in self._events(job, last):
                yield event
        finally:
            self.leave()

    async def _events(self, job: Mapping[str, Any], last: int) -> AsyncIterator[bytes]:
        told = time.monotonic()
        yield b"retry: 2000\n\n"
        while True:
            if job["revision"] > last:
                last, told = job["revision"], time.monotonic()
                data = JobAnswer.of(job).model_dump_json()
                yield f"id: {last}\nevent: job\ndata: {data}\n\n".encode()
            if JobStatus(job["status"]).final or not await self._pause():
                return
            if time.monotonic() - told > _KEEP_ALIVE_SECONDS:
                told = time.monotonic()
                yield b": still here\n\n"
            try:
                job = await self._service.store(self._service.jobs.get_job_metadata, job["job_id"])
            except UnavailableError:
                continue  # the store comes back, or the client stops waiting
            except DarkChannelError:
                return  # deleted

    async def _pause(self) -> bool:
        """Wait; whether to go on."""
        until = time.monotonic() + POLL_SECONDS
        while time.monotonic() < until:
            if self._service.service.drain.begun:
                return False
            await asyncio.sleep(_TICK_SECONDS)
        return True
