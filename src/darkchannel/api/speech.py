"""The speech service: chunks straight into the store, and speech to be listened to."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response

from darkchannel.api import logs
from darkchannel.api.application import Service, new_app
from darkchannel.api.metrics import ChunkResult
from darkchannel.api.problems import documented
from darkchannel.api.speaker import Speaker
from darkchannel.api.speech_audio import audio_routes
from darkchannel.api.speech_engine import engine_routes, voice_answers
from darkchannel.api.speech_models import ChunkAnswer, ChunkRequest, ReadyAnswer, VoiceAnswer
from darkchannel.api.turns import ClientLeftError
from darkchannel.errors import InputError
from darkchannel.models import Chunk
from darkchannel.production.request import RenderOptions
from darkchannel.production.speaking import (
    KeptTake,
    SpeechParts,
    find_take,
    keep_take,
    plan_chunk,
)
from darkchannel.speech.engine import Engine
from darkchannel.speech.openvoice.voice import short_name
from darkchannel.storage.keys import chunk_key

MAX_BODY_BYTES = 256 * 1024
_DESCRIPTION = """Speaks one chunk at a time and puts it into the store itself; what it answers with
is where the chunk lies, not the audio. Beside that it speaks as OpenAI's clients expect."""


def speech_app(service: Service, parts: SpeechParts) -> FastAPI:
    """The speech service.

    Args:
        service: what its parts share.
        parts: engine and store.
    """
    speaker = Speaker(service, parts)
    app = new_app(
        service,
        title="DarkChannel speech service",
        description=_DESCRIPTION,
        max_body_bytes=MAX_BODY_BYTES,
        lifespan=speaker.running,
    )
    app.include_router(_state_routes(speaker))
    app.include_router(_chunk_routes(speaker))
    app.include_router(audio_routes(speaker))
    app.include_router(engine_routes(speaker))

    @app.exception_handler(ClientLeftError)
    async def left(_request: Request, _error: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it; the log shows why nothing was done

    return app


def _state_routes(speaker: Speaker) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get(
        "/readyz",
        summary="Whether the model is loaded and the store answers",
        responses=documented(503),
    )
    async def readyz() -> ReadyAnswer:
        await speaker.readiness.check()
        return ReadyAnswer(engine=speaker.engine.name)

    @router.get("/voices", summary="The engine's voices")
    async def voices() -> list[VoiceAnswer]:
        return await speaker.read(voice_answers)

    return router


def _chunk_routes(speaker: Speaker) -> APIRouter:
    router = APIRouter(tags=["chunks"])
    client = speaker.parts.client

    @router.post(
        "/synthesize-to-s3",
        summary="Speak a chunk and put it into the store",
        responses=documented(400, 409, 422, 507),
    )
    async def synthesize_to_s3(wanted: ChunkRequest, request: Request) -> ChunkAnswer:
        """The same request again gives the same key without rendering (`reused: true`).

        Another text, voice or speed under the same key is a 409 unless `replace` is true.
        """
        logs.bind(job_id=wanted.job_id, chunk=wanted.chunk_index)
        key = chunk_key(wanted.job_id, wanted.chunk_index)
        chunk = await speaker.read(_planned, wanted)
        kept = await speaker.store(lambda: find_take(client, key, chunk, replacing=wanted.replace))
        if kept is None:
            async with speaker.turns.place():
                spoken = await speaker.spoken(request, chunk, key)
            kept = await speaker.store(
                lambda: keep_take(client, chunk, spoken, replacing=wanted.replace)
            )
        if kept.take.reused:
            speaker.metrics.chunks.labels(ChunkResult.REUSED.value).inc()
        return _answer(client.config.buckets.jobs, kept)

    return router


def _planned(wanted: ChunkRequest, engine: Engine) -> Chunk:
    """The chunk of a request; what is to be cloned must be a cloned voice.

    Raises:
        InputError: there are a voice and a reference, or the reference is no cloned voice.
    """
    voice = wanted.voice
    if wanted.reference is not None:
        if voice is not None:
            raise InputError("there are a voice and a reference", remedy="send one of them")
        voice = engine.resolve_voice(wanted.reference, wanted.language)
        if short_name(voice) is None:
            raise InputError(
                f"{wanted.reference!r} is a voice of the engine, not a recording's",
                remedy="send it as `voice`",
            )
    options = RenderOptions(voice=voice, language=wanted.language, speed=wanted.speed)
    return plan_chunk(wanted.text, wanted.chunk_index, options, engine)


def _answer(bucket: str, kept: KeptTake) -> ChunkAnswer:
    return ChunkAnswer(
        bucket=bucket,
        s3_key=kept.take.key,
        s3_url=f"s3://{bucket}/{kept.take.key}",
        size_bytes=kept.size,
        sha256=kept.take.sha256,
        duration_seconds=round(kept.take.seconds, 3),
        reused=kept.take.reused,
    )
