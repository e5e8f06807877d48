"""The engine itself over HTTP: what :class:`darkchannel.speech.remote.RemoteEngine` calls."""

from __future__ import annotations

import base64

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from darkchannel.api.problems import documented
from darkchannel.api.speaker import Speaker
from darkchannel.api.speech_models import (
    MOST_CHUNK_CHARACTERS,
    Language,
    Name,
    Strict,
    VoiceAnswer,
)
from darkchannel.audio.wav import to_pcm
from darkchannel.models import Chunk, Pronunciation, Utterance
from darkchannel.production.speaking import speak
from darkchannel.speech.engine import Engine
from darkchannel.storage.keys import MAX_CHUNKS

MOST_UTTERANCES = 500
_UTTERANCES = "Each with `spoken`, `language` and `pronunciations`, as `plan.json` has them."


class PronunciationFacts(Strict):
    """Phonemes given by the author for a part of an utterance."""

    start: int = Field(ge=0, le=MOST_CHUNK_CHARACTERS)
    end: int = Field(ge=0, le=MOST_CHUNK_CHARACTERS)
    ipa: str = Field(max_length=1000)


class UtteranceFacts(Strict):
    """What is said, ready to be spoken: nothing in it is read as SSML or spelt out."""

    spoken: str = Field(max_length=MOST_CHUNK_CHARACTERS)
    language: Language
    pronunciations: list[PronunciationFacts] = Field(default=[], max_length=100)

    def utterance(self) -> Utterance:
        """As the engine takes it."""
        given = tuple(Pronunciation(p.start, p.end, p.ipa) for p in self.pronunciations)
        return Utterance(self.spoken, self.spoken, self.language, pronunciations=given)


class TokensRequest(Strict):
    """Utterances to be counted."""

    utterances: list[UtteranceFacts] = Field(
        min_length=1, max_length=MOST_UTTERANCES, description=_UTTERANCES
    )


class TokensAnswer(BaseModel):
    """Tokens of each utterance."""

    counts: list[int]


class EngineChunkRequest(Strict):
    """A chunk as a plan has it."""

    index: int = Field(ge=1, le=MAX_CHUNKS, description="Of the chunk; errors name it.")
    utterances: list[UtteranceFacts] = Field(
        min_length=1, max_length=MOST_UTTERANCES, description=_UTTERANCES
    )
    voice: Name
    language: Language
    speed: float = Field(allow_inf_nan=False, description="0.5 to 2.")

    def chunk(self) -> Chunk:
        """As the engine takes it; what concerns the plan alone is left out."""
        utterances = tuple(facts.utterance() for facts in self.utterances)
        return Chunk(self.index, utterances, self.voice, self.language, self.speed, 0, 0.0, "")


class TokenTimeFacts(BaseModel):
    """When a token sounds, in seconds."""

    token: str
    start: float
    end: float


class EngineSpeechAnswer(BaseModel):
    """The speech of a chunk."""

    pcm: str = Field(description="PCM 16 bit little-endian mono, in base64.")
    sample_rate: int
    utterance_starts: list[float] | None = Field(description="Seconds, where the engine knows.")
    token_times: list[TokenTimeFacts] | None


class VoiceRequest(Strict):
    """A voice asked for."""

    voice: Name | None = Field(default=None, description="The language's default if not given.")
    language: Language


class ResolvedAnswer(BaseModel):
    """The voice that is meant."""

    voice: str = Field(description="Its full name: of a cloned voice, with its version.")


class EngineAnswer(BaseModel):
    """What an engine is."""

    name: str
    fingerprint: str = Field(description="Changes whenever the same chunk would sound different.")
    sample_rate: int
    max_tokens: int
    workers: int = Field(description="How many chunks this service speaks at a time.")


def engine_routes(speaker: Speaker) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["engine"])

    @router.get("/engine", summary="What the engine is")
    async def engine() -> EngineAnswer:
        return EngineAnswer(
            name=speaker.engine.name,
            fingerprint=speaker.engine.fingerprint,
            sample_rate=speaker.engine.sample_rate,
            max_tokens=speaker.engine.max_tokens,
            workers=speaker.parts.workers,
        )

    @router.post(
        "/engine/voice", summary="Which voice a name means", responses=documented(400, 422)
    )
    async def voice(wanted: VoiceRequest) -> ResolvedAnswer:
        return ResolvedAnswer(voice=await speaker.read(_resolve, wanted))

    @router.post("/engine/tokens", summary="Count tokens", responses=documented(422))
    async def tokens(wanted: TokensRequest) -> TokensAnswer:
        utterances = [facts.utterance() for facts in wanted.utterances]
        return TokensAnswer(counts=await speaker.read(_count, utterances))

    @router.post("/engine/speech", summary="Speak a chunk", responses=documented(422))
    async def speech(wanted: EngineChunkRequest, request: Request) -> EngineSpeechAnswer:
        async with speaker.turns.place():
            made, seconds = await speaker.turns.run(
                request, speak, speaker.parts.make_engine, wanted.chunk()
            )
        speaker.metrics.rendered(made.seconds, seconds)
        times = made.token_times
        return EngineSpeechAnswer(
            pcm=base64.b64encode(to_pcm(made.samples)).decode(),
            sample_rate=made.sample_rate,
            utterance_starts=None if made.utterance_starts is None else list(made.utterance_starts),
            token_times=None
            if times is None
            else [TokenTimeFacts(token=t.token, start=t.start, end=t.end) for t in times],
        )

    return router


def voice_answers(engine: Engine) -> list[VoiceAnswer]:
    """The voices of an engine, with their languages' defaults marked."""
    return [
        VoiceAnswer(
            name=voice.name,
            language=voice.language,
            default=engine.resolve_voice(None, voice.language) == voice.name,
        )
        for voice in engine.voices
    ]


def _count(utterances: list[Utterance], engine: Engine) -> list[int]:
    return [engine.count_tokens(utterance) for utterance in utterances]


def _resolve(wanted: VoiceRequest, engine: Engine) -> str:
    return engine.resolve_voice(wanted.voice, wanted.language)
