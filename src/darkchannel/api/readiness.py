"""Whether a speech service can do its work: the model is loaded, and the store answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from darkchannel.api.requests import Drain
from darkchannel.api.turns import Turns
from darkchannel.errors import DarkChannelError, EngineUnavailableError, UnavailableError
from darkchannel.models import Chunk
from darkchannel.production.request import RenderOptions
from darkchannel.production.speaking import SpeechParts, plan_chunk, speak
from darkchannel.production.worker import EngineFactory
from darkchannel.storage.retry import backoff

LOG = logging.getLogger("darkchannel.readiness")

FRESH_SECONDS = 1.0
"""How long an answer of the store counts: probes come from several sides at once."""

_KEEP_SECONDS = 2.0
_LONGEST_PAUSE = 30.0
_FIRST_WORD = "a"


class Readiness:
    """Loads the model into every worker, and keeps an eye on the store."""

    def __init__(self, parts: SpeechParts, turns: Turns, drain: Drain) -> None:
        self._parts = parts
        self._turns = turns
        self._drain = drain
        self._missing: DarkChannelError | None = EngineUnavailableError(
            "the model is being loaded", remedy="ask again in a few seconds"
        )
        # A thread of its own: others may be waiting for a store that does not answer.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="ready")
        self._asking = asyncio.Lock()
        self._asked = -FRESH_SECONDS
        self._store: DarkChannelError | None = None

    async def check(self) -> None:
        """See that work can be done.

        Raises:
            UnavailableError: the model is not loaded (yet), the store does not answer, or the
                service is stopping.
        """
        if self._drain.begun:
            raise UnavailableError("the service is stopping")
        if self._missing is not None:
            raise self._missing
        async with self._asking:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                self._store = await self._failure(self._parts.client.ping)
                self._asked = time.monotonic()
        if self._store is not None:
            raise UnavailableError(self._store.message, remedy=self._store.remedy)

    async def tend(self) -> None:
        """Load the model, trying again until it is there; then look after the store."""
        attempt = 0
        while (failure := await self._load()) is not None:
            self._missing = EngineUnavailableError(failure.message, remedy=failure.remedy)
            LOG.error("the engine cannot be loaded: %s", failure.message)
            attempt += 1
            await asyncio.sleep(backoff(attempt, first=1.0, longest=_LONGEST_PAUSE))
        self._missing = None
        LOG.info("the model is loaded")
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            failure = await self._failure(self._parts.keep_store)
            if failure is not None:
                LOG.error("the store: %s", failure.message)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _load(self) -> DarkChannelError | None:
        failure = await self._failure(self._parts.fetch)
        if failure is not None:
            return failure
        make_engine = self._parts.make_engine
        try:
            chunk = await asyncio.get_running_loop().run_in_executor(
                self._threads, _first_chunk, make_engine
            )
            if chunk is None:
                LOG.warning("the engine has no voice yet: nothing is loaded")
                return None
            words = [
                self._turns.run(None, speak, make_engine, chunk) for _ in range(self._parts.workers)
            ]
            await asyncio.gather(*words)
        except DarkChannelError as error:
            return error
        except Exception as error:
            # Left alone it would end the trying, and the service would never say why.
            LOG.exception("the engine cannot be loaded")
            return EngineUnavailableError(
                f"the engine failed while loading: {type(error).__name__}"
            )
        return None

    async def _failure(self, call: Callable[[], object]) -> DarkChannelError | None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except DarkChannelError as error:
            return error
        return None


def _first_chunk(make_engine: EngineFactory) -> Chunk | None:
    """What the workers say first; None while nobody was cloned."""
    engine = make_engine()
    try:
        if not engine.voices:
            return None
        options = RenderOptions(language=engine.voices[0].language)
        return plan_chunk(_FIRST_WORD, 1, options, engine)
    finally:
        engine.close()
