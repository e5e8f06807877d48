"""Speech on request, one chunk at a time: what a speech service does.

The chunk of a caller's text is the chunk a plan of the same text would have, with the same
digest, so that takes made on request and takes made by a job are the same takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from darkchannel.errors import (
    JobConflictError,
    MergeError,
    NotFoundError,
    PreconditionError,
    ScriptError,
    StoreUnavailableError,
    SynthesisError,
)
from darkchannel.models import Chunk, Plan, Take
from darkchannel.production.planning import plan_text
from darkchannel.production.pool import Pool
from darkchannel.production.request import RenderOptions
from darkchannel.production.worker import (
    EngineFactory,
    describe_take,
    held_engine,
    render_take,
    take_of_object,
)
from darkchannel.speech.engine import Engine, Speech
from darkchannel.storage import MinIOClient


@dataclass(frozen=True, slots=True)
class SpeechParts:
    """The parts a speech service needs, put together by the composition root.

    Attributes:
        make_engine: builds the engine, here and in workers.
        pool: where chunks are spoken; called again when its workers died.
        workers: how many chunks it speaks at a time.
        client: of the store.
        fetch: gets the engine's weights where they are missing.
        keep_store: called now and then; brings an embedded store back that died.
    """

    make_engine: EngineFactory
    pool: Pool
    workers: int
    client: MinIOClient
    fetch: Callable[[], object] = lambda: None
    keep_store: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a worker made of a chunk.

    Attributes:
        take: the facts.
        data: the WAV file.
    """

    take: Take
    data: bytes


@dataclass(frozen=True, slots=True)
class KeptTake:
    """A take that lies in the store, and its size in bytes."""

    take: Take
    size: int


def plan_chunk(text: str, index: int, options: RenderOptions, engine: Engine) -> Chunk:
    """The one chunk of a text.

    Args:
        text: what to say: text or SSML, as ``darkchannel render`` reads it.
        index: of the chunk.
        options: how to read it.
        engine: whose tokens are counted.

    Raises:
        ScriptError: it is more than an engine can say at once, or has a pause in it: nothing
            is cut off.
        InputError: as :func:`darkchannel.production.planning.plan_text`.
    """
    most = engine.max_tokens
    chunks = plan_text(text.encode(), options, engine, target=(most, most)).chunks
    if len(chunks) > 1:
        raise ScriptError(
            f"the text makes {len(chunks)} chunks; expected one: a passage without a pause "
            f"in it, of at most {most} tokens",
            remedy="split it as `darkchannel plan` does, and send each chunk by itself",
        )
    return replace(chunks[0], index=index)


def plan_passage(text: str, options: RenderOptions, engine: Engine) -> Plan:
    """The chunks of a longer text, as a render of it would have them, but for the first sentence.

    That is spoken by itself: whoever listens hears something when a sentence is done, not ten
    seconds of speech.

    Raises:
        InputError: as :func:`darkchannel.production.planning.plan_text`.
    """
    return plan_text(text.encode(), options, engine, first_alone=True)


def speak_take(make_engine: EngineFactory, chunk: Chunk, key: str) -> Spoken:
    """What a worker does: speak a chunk and check it.

    Raises:
        SynthesisError: it cannot be spoken, or what came out is no reading of it.
        EngineUnavailableError: weights or libraries are missing.
    """
    engine = held_engine(make_engine)
    try:
        take, data = render_take(engine, chunk, key)
    except MergeError as error:
        raise SynthesisError(error.message, remedy=error.remedy, chunk=chunk.index) from error
    return Spoken(take, data)


def speak(make_engine: EngineFactory, chunk: Chunk) -> tuple[Speech, float]:
    """What a worker does for an engine elsewhere: speak a chunk, and say how long that took.

    Raises:
        DarkChannelError: as :meth:`darkchannel.speech.engine.Engine.synthesize`.
    """
    engine = held_engine(make_engine)
    began = time.perf_counter()
    speech = next(iter(engine.synthesize([chunk])))
    return speech, time.perf_counter() - began


def find_take(client: MinIOClient, key: str, chunk: Chunk, *, replacing: bool) -> KeptTake | None:
    """The take of a chunk under a key of the jobs bucket, if there is one.

    Args:
        client: of the store.
        key: where it would lie.
        chunk: what it should say.
        replacing: whether another text under the key may be written over.

    Raises:
        JobConflictError: something else lies there, and may not be replaced.
        StoreUnavailableError: the store does not answer.
    """
    try:
        info = client.head(client.config.buckets.jobs, key)
    except NotFoundError:
        return None
    take = take_of_object(info, chunk)
    if take is not None:
        return KeptTake(take, info.size)
    if replacing:
        return None
    raise JobConflictError(
        f"{key} holds another text, voice or speed already",
        remedy="send another chunk_index, or `replace: true` to write over it",
        chunk=chunk.index,
    )


def keep_take(client: MinIOClient, chunk: Chunk, spoken: Spoken, *, replacing: bool) -> KeptTake:
    """Put a take under its key; of several that do so at once, the first stays.

    Returns:
        The take that lies there now; it is ``reused`` if somebody else's.

    Raises:
        JobConflictError: another text came first.
        StoreError, StoreUnavailableError: the store refuses or does not answer.
    """
    bucket, key = client.config.buckets.jobs, spoken.take.key
    try:
        client.put(
            bucket,
            key,
            spoken.data,
            content_type="audio/wav",
            metadata=describe_take(spoken.take),
            if_none_match=not replacing,
        )
    except PreconditionError:
        kept = find_take(client, key, chunk, replacing=False)
        if kept is None:
            raise StoreUnavailableError(
                f"{key} was there and is gone again", remedy="send the request again"
            ) from None
        return kept
    return KeptTake(spoken.take, len(spoken.data))
