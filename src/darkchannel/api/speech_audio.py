"""``POST /v1/audio/speech``: speech to be listened to, as OpenAI's clients expect it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from darkchannel.api.encoding import encoded
from darkchannel.api.problems import documented
from darkchannel.api.speaker import Speaker
from darkchannel.api.speech_models import SpeechRequest
from darkchannel.audio.streaming import STREAM_FORMATS, STREAM_RATE
from darkchannel.audio.wav import decode_wav, wav_of_pcm
from darkchannel.errors import InputError
from darkchannel.models import Chunk, Plan
from darkchannel.production.request import RenderOptions
from darkchannel.production.speaking import Spoken, plan_passage
from darkchannel.speech.engine import Engine

OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""What clients send when nobody told them another name; they mean the service's engine."""

_ANYBODY = "pt-BR"
_KEY = "spoken"
"""Takes are sent, not kept: the key they would lie under is not used."""

_MEDIA_TYPES = {**{n: f.media_type for n, f in STREAM_FORMATS.items()}, "wav": "audio/wav"}


def audio_routes(speaker: Speaker) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["speech"])

    @router.post(
        "/v1/audio/speech",
        summary="Speak a passage",
        response_class=Response,
        responses={
            200: {
                "description": "The audio, as it is spoken.",
                "content": {kind: {} for kind in sorted(set(_MEDIA_TYPES.values()))},
            },
            **documented(400, 422),
        },
    )
    async def speak(wanted: SpeechRequest, request: Request) -> Response:
        """As OpenAI's endpoint of this name.

        The audio of the first sentence is sent while the rest is spoken, but for WAV, whose header
        tells its length: that is sent when all of it is there.
        """
        engine = speaker.engine
        _check_model(wanted.model, engine)
        chunks = (await speaker.read(_planned, wanted)).chunks
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(speaker.turns.place())
            # What is wrong shows with the first chunk, while there can be another answer.
            first = await speaker.spoken(request, chunks[0], _KEY)
            if wanted.response_format == "wav":
                pcm = [block async for block in _blocks(speaker, chunks, first, request)]
                data = wav_of_pcm(b"".join(pcm), engine.sample_rate)
                return Response(data, media_type=_MEDIA_TYPES["wav"])
            blocks = _blocks(speaker, chunks, first, None)
            if wanted.response_format != "pcm" or engine.sample_rate != STREAM_RATE:
                blocks = encoded(blocks, wanted.response_format, engine.sample_rate)
            return _Stream(blocks, _MEDIA_TYPES[wanted.response_format], stack.pop_all())

    return router


class _Stream(StreamingResponse):
    """A stream that holds a place in the line until it ends, however it does."""

    def __init__(self, blocks: AsyncIterator[bytes], media_type: str, held: AsyncExitStack) -> None:
        super().__init__(blocks, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all."""
        async with self._held:
            await super().__call__(scope, receive, send)


def _check_model(model: str, engine: Engine) -> None:
    if model not in {engine.name, *OPENAI_MODELS}:
        raise InputError(
            f"unknown model {model!r}", remedy=f"this service speaks with {engine.name!r}"
        )


def _planned(wanted: SpeechRequest, engine: Engine) -> Plan:
    """The chunks of a passage, in the language asked for, or the voice's own.

    Raises:
        UnknownVoiceError: there is no such voice; no other takes its place.
    """
    language = wanted.language
    if language is None:
        full = engine.resolve_voice(wanted.voice, _ANYBODY)
        language = next((v.language for v in engine.voices if v.name == full), _ANYBODY)
    options = RenderOptions(voice=wanted.voice, language=language, speed=wanted.speed)
    return plan_passage(wanted.input, options, engine)


async def _blocks(
    speaker: Speaker, chunks: tuple[Chunk, ...], first: Spoken, request: Request | None
) -> AsyncIterator[bytes]:
    """The samples of all chunks with the pauses after them, PCM 16 bit mono."""
    spoken = first
    for chunk in chunks:
        if chunk is not chunks[0]:
            spoken = await speaker.spoken(request, chunk, _KEY)
        samples, rate = decode_wav(spoken.data)
        yield samples.tobytes() + bytes(2 * round(chunk.pause_after * rate))
