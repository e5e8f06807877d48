"""What a speech worker does: make sure that the take of one chunk is in the store.

Whoever renders a take uploads it; only facts about it travel back.  So the same function serves
threads, processes and machines.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from dataclasses import dataclass, replace
from typing import Protocol

from darkchannel.audio.takes import check_take, sentence_starts
from darkchannel.audio.wav import encode_wav
from darkchannel.config import StoreConfig
from darkchannel.errors import NotFoundError
from darkchannel.models import Chunk, Take
from darkchannel.production.patience import patiently
from darkchannel.speech.engine import Engine, Speech
from darkchannel.storage import MinIOClient
from darkchannel.storage.keys import chunk_key, take_cache_key
from darkchannel.storage.objects import ObjectInfo


class EngineFactory(Protocol):
    """Builds an engine; travels to workers, so it must be picklable.

    Equal factories build interchangeable engines.
    """

    def __call__(self) -> Engine:
        """Build it."""
        ...


@dataclass(frozen=True, slots=True)
class TakeTask:
    """One chunk to be made a take.

    Attributes:
        job_id: whose chunk it is.
        chunk: what to say.
        store: where takes lie.
        make_engine: builds the engine; called once in each worker.
        may_exist: an object lies under the take's key; look before rendering.
        use_cache: look for, and leave, the take in the cache shared by all jobs.
    """

    job_id: str
    chunk: Chunk
    store: StoreConfig
    make_engine: EngineFactory
    may_exist: bool
    use_cache: bool


def make_take(task: TakeTask) -> Take:
    """Find or render the take of a chunk; afterwards it lies in the job's folder.

    Raises:
        SynthesisError, EngineUnavailableError: the engine cannot speak the chunk.
        MergeError: what the engine said cannot be a reading of the chunk.
        StoreUnavailableError: the store stayed away for too long.
        StoreError: the store refused.
    """
    client = _client(task.store)
    buckets = task.store.buckets
    key = chunk_key(task.job_id, task.chunk.index)
    cache_key = take_cache_key(task.chunk.digest)
    if task.may_exist:
        take = _find(client, buckets.jobs, key, task.chunk)
        if take is not None:
            return replace(take, key=key)
    if task.use_cache:
        take = _find(client, buckets.temp, cache_key, task.chunk)
        if take is not None and _copied(client, buckets.temp, cache_key, buckets.jobs, key):
            return replace(take, key=key)
    engine = held_engine(task.make_engine)
    # An engine whose voices lie in the store may have to look for one.
    take, data = patiently(lambda: render_take(engine, task.chunk, key))
    facts = describe_take(take)
    patiently(lambda: client.put(buckets.jobs, key, data, content_type="audio/wav", metadata=facts))
    if task.use_cache:
        patiently(lambda: client.copy(buckets.jobs, key, buckets.temp, cache_key))
    return take


def describe_take(take: Take) -> dict[str, str]:
    """Facts about a take as object metadata."""
    return {
        "digest": take.digest,
        "sha256": take.sha256,
        "seconds": f"{take.seconds:.3f}",
        "frames": str(take.frames),
        "sample-rate": str(take.sample_rate),
        "sentences": ",".join(f"{start:.3f}" for start in take.sentence_starts),
    }


def take_of_object(info: ObjectInfo, chunk: Chunk) -> Take | None:
    """The take an object claims to be, or None when it is not one of this chunk."""
    facts = info.metadata
    if facts.get("digest") != chunk.digest:
        return None
    try:
        return Take(
            index=chunk.index,
            digest=chunk.digest,
            key=info.key,
            sha256=facts["sha256"],
            frames=int(facts["frames"]),
            sample_rate=int(facts["sample-rate"]),
            sentence_starts=tuple(float(start) for start in facts["sentences"].split(",")),
            reused=True,
        )
    except (KeyError, ValueError):
        return None


def _find(client: MinIOClient, bucket: str, key: str, chunk: Chunk) -> Take | None:
    try:
        return take_of_object(patiently(lambda: client.head(bucket, key)), chunk)
    except NotFoundError:
        return None


def _copied(
    client: MinIOClient, from_bucket: str, from_key: str, to_bucket: str, to_key: str
) -> bool:
    try:
        patiently(lambda: client.copy(from_bucket, from_key, to_bucket, to_key))
    except NotFoundError:  # it expired since we looked
        return False
    return True


def render_take(engine: Engine, chunk: Chunk, key: str) -> tuple[Take, bytes]:
    """Speak a chunk, and see that it is a plausible reading.

    Args:
        engine: that speaks.
        chunk: what to say.
        key: under which the take is to lie.

    Returns:
        The facts, and the WAV file.

    Raises:
        SynthesisError, EngineUnavailableError: the engine cannot speak the chunk.
        MergeError: what it said cannot be a reading of the chunk.
    """
    began = time.perf_counter()
    speech = next(iter(engine.synthesize([chunk])))
    taken = time.perf_counter() - began
    data = encode_wav(speech.samples, speech.sample_rate)
    take = Take(
        index=chunk.index,
        digest=chunk.digest,
        key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        frames=check_take(data, chunk),
        sample_rate=speech.sample_rate,
        sentence_starts=_sentence_starts(speech, chunk),
        render_seconds=taken,
    )
    return take, data


def _sentence_starts(speech: Speech, chunk: Chunk) -> tuple[float, ...]:
    if speech.utterance_starts is not None:
        return speech.utterance_starts
    weights = [float(len(utterance.spoken)) for utterance in chunk.utterances]
    return sentence_starts(speech.samples, speech.sample_rate, weights)


def load(make_engine: EngineFactory) -> None:
    """What a worker may do before its first chunk, which then need not wait for it.

    Raises:
        EngineUnavailableError: weights or libraries are missing.
    """
    held_engine(make_engine).load()


def held_engine(make_engine: EngineFactory) -> Engine:
    """This thread's engine: made once, and let go only for another."""
    held: tuple[EngineFactory, Engine] | None = getattr(_held, "engine", None)
    if held is not None and held[0] == make_engine:
        return held[1]
    if held is not None:
        held[1].close()
    engine = make_engine()
    _held.engine = (make_engine, engine)
    return engine


_held = threading.local()


@functools.lru_cache(maxsize=4)
def _client(store: StoreConfig) -> MinIOClient:
    return MinIOClient(store)
