"""The composition root of the HTTP services: concrete parts from settings."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from darkchannel.composition import open_store, reach_store, store_keeper
from darkchannel.config import Settings
from darkchannel.engines import fetch_weights, remote_workers, speakers
from darkchannel.errors import EngineUnavailableError
from darkchannel.production.mastering import MasteringTurns
from darkchannel.production.pipeline import Production
from darkchannel.production.pool import default_workers
from darkchannel.production.runner import JobsParts
from darkchannel.production.sharing import SharedPool
from darkchannel.production.speaking import SpeechParts
from darkchannel.storage import JobManager, MinIOClient

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
    count = workers or settings.workers or default_workers()
    opened = open_store(settings) if settings.store is None else reach_store(settings)
    with opened as config:
        spec, pool = speakers(engine, settings, count, store=config)
        yield SpeechParts(
            make_engine=spec,
            pool=pool,
            workers=count,
            client=MinIOClient(config, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS),
            fetch=functools.partial(fetch_weights, settings, engine),
            keep_store=store_keeper(settings),
        )


@contextmanager
def open_jobs_api(
    settings: Settings, engine: str, *, workers: int | None = None
) -> Iterator[JobsParts]:
    """Everything a jobs API needs; store and speech services may be away for now.

    Args:
        settings: of this process.
        engine: of all its jobs: its name, or addresses of speech services.
        workers: chunks rendered at a time; None means the settings' number, else one a core, or
            one for each worker of the speech services.

    Raises:
        SettingError: there is no such engine.
        StoreUnavailableError: the embedded store cannot be started.
    """
    cores = default_workers()
    count = workers or settings.workers or _workers_elsewhere(settings, engine) or cores
    opened = open_store(settings) if settings.store is None else reach_store(settings)
    with opened as config:
        spec, make_pool = speakers(engine, settings, count, store=config)
        mastering = MasteringTurns(cores)

        def production(client: MinIOClient) -> Production:
            return Production(
                store=config,
                client=client,
                jobs=JobManager(client),
                make_engine=spec,
                pool=make_pool,
                mastering=mastering,
                keep_store=store_keeper(settings),
            )

        impatient = MinIOClient(config, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        pool = SharedPool(make_pool, count)
        try:
            yield JobsParts(
                engine=engine,
                production=production(impatient),
                runner_production=production(MinIOClient(config)),
                pool=pool,
                fetch=functools.partial(fetch_weights, settings, engine),
            )
        finally:
            pool.close()


def _workers_elsewhere(settings: Settings, engine: str) -> int | None:
    try:
        return remote_workers(engine, settings)
    except EngineUnavailableError:
        return None  # they may start later than this service
