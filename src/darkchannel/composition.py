"""The composition root: the one place that builds concrete parts from settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkchannel.config import Settings, StoreConfig
from darkchannel.engines import (
    engine_spec,
    fetch_weights,
    references_of,
    remote_workers,
    speakers,
)
from darkchannel.errors import InputError

if TYPE_CHECKING:
    from darkchannel.production.pipeline import Production
    from darkchannel.production.progress import OnProgress
    from darkchannel.production.references import References
    from darkchannel.production.request import RenderResult
    from darkchannel.speech.engine import Engine
    from darkchannel.storage import JobManager, MinIOClient

MAX_INPUT_BYTES = 64 * 1024 * 1024
"""Ten times the longest novels; a bound so that a wrong file name cannot fill the memory."""


@contextmanager
def open_references(settings: Settings) -> Iterator[References]:
    """The reference voices of the store of these settings."""
    with open_jobs(settings) as (client, _jobs):
        yield references_of(engine_spec("openvoice", settings), client)


@contextmanager
def open_engine(name: str, settings: Settings) -> Iterator[Engine]:
    """An engine to plan with and to list voices of; its cloned voices come from the store.

    Raises:
        SettingError: there is none of that name.
        StoreUnavailableError: the store of cloned voices cannot be reached.
    """
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings)) if name == "openvoice" else None
        engine = engine_spec(name, settings, store=store)()
        stack.callback(engine.close)
        yield engine


@contextmanager
def reach_store(settings: Settings) -> Iterator[StoreConfig]:
    """The store of these settings as it is, while the context is open: nothing is made in it.

    Raises:
        StoreUnavailableError: it is the embedded one, and cannot be started.
    """
    if settings.store is not None:
        yield settings.store
        return
    from darkchannel.storage.embedded import embedded_store

    with embedded_store(settings.data_dir, settings.buckets) as config:
        yield config


@contextmanager
def open_store(settings: Settings) -> Iterator[StoreConfig]:
    """The store of these settings, reachable and with its buckets, while the context is open.

    Raises:
        StoreUnavailableError: it does not answer, or cannot be started.
        StoreAccessError: it refuses the credentials, or a bucket is missing and they may not
            create it.
    """
    from darkchannel.storage import MinIOClient
    from darkchannel.storage.retry import retrying

    with reach_store(settings) as config:
        client = MinIOClient(config)
        client.ensure_buckets()
        if settings.store is None:
            retrying(lambda: _prove_writable(client, config.buckets.temp))
        yield config


def is_own_store(settings: Settings, config: StoreConfig) -> bool:
    """Whether a store is the embedded one of these settings, be it through ``store serve``.

    Its credentials are random and made for it alone: whoever has them talks to it.
    """
    if settings.store is None:
        return True
    if os.name != "posix":
        return False  # where the embedded store does not run
    from darkchannel.storage.embedded_folder import StoreFolder

    own = StoreFolder(settings.data_dir.absolute() / "store").read_state()
    return own is not None and own.credentials == config.credentials


def _prove_writable(client: MinIOClient, bucket: str) -> None:
    """Make sure that a server just started finds its data.

    SeaweedFS answers a moment before its volumes have reported in; until then what was written
    earlier reads as an internal error.  Writing and reading a few bytes needs a volume.
    """
    client.put(bucket, ".ready", b"ready")
    client.get(bucket, ".ready")


@contextmanager
def open_jobs(settings: Settings) -> Iterator[tuple[MinIOClient, JobManager]]:
    """Client and job manager on the store of these settings."""
    from darkchannel.storage import JobManager, MinIOClient

    with open_store(settings) as config:
        client = MinIOClient(config)
        yield client, JobManager(client)


@contextmanager
def open_production(
    settings: Settings, engine: str, *, workers: int | None = None
) -> Iterator[Production]:
    """Everything a run needs.

    Args:
        settings: of this process.
        engine: name of the engine.
        workers: speech workers; None means the settings' number, else one for each core, or
            for each worker of the speech services.

    Raises:
        EngineUnavailableError: no speech service answers.
    """
    from darkchannel.production import worker
    from darkchannel.production.pipeline import Production
    from darkchannel.production.pool import begun, default_workers, speech_workers
    from darkchannel.storage import JobManager, MinIOClient

    count = workers or settings.workers or remote_workers(engine, settings) or default_workers()
    with ExitStack() as stack:
        # Cloned voices lie there; else the voice is loaded while the store is made ready.
        store = stack.enter_context(open_store(settings)) if engine == "openvoice" else None
        spec, pool = speakers(engine, settings, count, store=store)
        if spec.computes:
            load = functools.partial(worker.load, spec)
            pool = stack.enter_context(begun(pool, load, 1 if spec.is_shared else count))
        if engine == "tone":  # stays with what a run is made of
            pool = functools.partial(speech_workers, count)
        config = store or stack.enter_context(open_store(settings))
        client = MinIOClient(config)
        yield Production(
            store=config,
            client=client,
            jobs=JobManager(client),
            make_engine=spec,
            pool=pool,
            keep_store=store_keeper(settings),
        )


def store_keeper(settings: Settings) -> Callable[[], object]:
    """What brings the store back when it died: nothing, unless it is the embedded one."""
    if settings.store is not None:
        return lambda: None
    from darkchannel.storage.embedded import ensure_running

    return functools.partial(ensure_running, settings.data_dir, settings.buckets)


def read_input(path: Path) -> bytes:
    """The bytes of an input file.

    Raises:
        InputError: it cannot be read, or is larger than :data:`MAX_INPUT_BYTES`.
    """
    try:
        with path.open("rb") as file:
            return bounded(file.read(MAX_INPUT_BYTES + 1), str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def bounded(data: bytes, name: str) -> bytes:
    """The data itself, unless it is larger than :data:`MAX_INPUT_BYTES`.

    Raises:
        InputError: it is.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise InputError(
            f"{name} is larger than {MAX_INPUT_BYTES // 2**20} MiB",
            remedy="split the book into volumes",
        )
    return data


def render(
    source: str | Path,
    output: str | Path | None = None,
    *,
    job_id: str | None = None,
    workers: int | None = None,
    use_cache: bool = True,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> RenderResult:
    """Make a file of text or SSML an audiobook.

    Args:
        source: the file.
        output: path of the MP3; its siblings are put beside it.  None leaves the book in the
            store alone.
        job_id: an id of your own; without one the same call names the same job.
        workers: speech workers; None means one for each core.
        use_cache: whether takes of other jobs may be used.
        on_progress: told where the run stands.
        **options: fields of :class:`darkchannel.production.request.RenderOptions`.

    Raises:
        DarkChannelError: see :mod:`darkchannel.errors`.
    """
    from darkchannel.production.progress import ignore_progress
    from darkchannel.production.request import RenderOptions, RenderRequest

    path = Path(source)
    settings = Settings.from_environment()
    request = RenderRequest(
        data=read_input(path),
        input_format=input_format(path),
        options=RenderOptions(**options),
        job_id=job_id,
        use_cache=use_cache,
        name=path.stem,
    )
    request.check()
    request.read()  # a text that cannot be read is no reason for a long download
    fetch_weights(settings, request.options.engine)
    with open_production(settings, request.options.engine, workers=workers) as production:
        return production.render(
            request,
            output=Path(output) if output is not None else None,
            on_progress=on_progress or ignore_progress,
        )


def input_format(path: Path) -> str:
    """``ssml`` or ``txt``, by the file's name; the content decides where the name does not."""
    return "ssml" if path.suffix.lower() in {".ssml", ".xml"} else "txt"
