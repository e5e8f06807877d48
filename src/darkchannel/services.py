"""The composition root of the HTTP services: concrete parts from settings."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from darkchannel.composition import (
    engine_spec,
    fetch_weights,
    open_store,
    reach_store,
    store_keeper,
)
from darkchannel.config import Settings
from darkchannel.production.pool import default_workers, speech_threads, speech_workers
from darkchannel.production.speaking import SpeechParts
from darkchannel.storage import MinIOClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 10.0
"""Of a service's store client: somebody waits for the answer, and can send the request again."""


@contextmanager
def open_speech(
    settings: Settings, engine: str, *, workers: int | None = None
) -> Iterator[SpeechParts]:
    """Everything a speech service needs.

    A store that is not ours may be away for now: the service says so itself, and goes on when it
    is back.

    Args:
        settings: of this process.
        engine: name of the engine.
        workers: chunks spoken at a time; None means the settings' number, else one a core.

    Raises:
        SettingError: there is no such engine.
        StoreUnavailableError: the embedded store cannot be started.
    """
    cores = default_workers()
    count = workers or settings.workers or cores
    spec = engine_spec(engine, settings, threads=max(1, cores // count))
    pool = speech_workers if spec.computes else speech_threads
    opened = open_store(settings) if settings.store is None else reach_store(settings)
    with opened as config:
        yield SpeechParts(
            make_engine=spec,
            pool=functools.partial(pool, count),
            workers=count,
            client=MinIOClient(config, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS),
            fetch=functools.partial(fetch_weights, settings, engine),
            keep_store=store_keeper(settings),
        )
