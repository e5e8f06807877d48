"""What goes into a speech service and comes out of it, as types."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from darkchannel.speech.limits import FASTEST, SLOWEST
from darkchannel.storage.keys import MAX_CHUNKS

MOST_CHUNK_CHARACTERS = 10_000
"""Of one chunk; an engine's limit in tokens is far below, and says so more helpfully."""

MOST_INPUT_CHARACTERS = 20_000
"""Of one passage to be streamed: about twenty minutes.  Books are jobs."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Language = Annotated[
    str, Field(min_length=2, max_length=35, description="BCP 47 tag, such as `pt-BR`.")
]
Speed = Annotated[float, Field(ge=SLOWEST, le=FASTEST, description="Relative to the voice's own.")]


class Strict(BaseModel):
    """A request in which nothing is converted and nothing unknown is ignored."""

    model_config = ConfigDict(strict=True, extra="forbid")


class ChunkRequest(Strict):
    """One chunk to be spoken and put into the store."""

    text: str = Field(
        min_length=1,
        max_length=MOST_CHUNK_CHARACTERS,
        description="Text or SSML that makes one chunk: a passage without a pause in it, within"
        " the engine's limit. It is read as `darkchannel render` reads it.",
    )
    job_id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="Whose chunk it is."
    )
    chunk_index: int = Field(ge=1, le=MAX_CHUNKS, description="From 1.")
    language: Language = "pt-BR"
    voice: Name | None = Field(default=None, description="The language's default if not given.")
    speed: Speed = 1.0
    pitch: Literal[1] | None = Field(
        default=None, description="Only 1, the voice's own: no engine here changes it."
    )
    reference: Name | None = Field(
        default=None,
        description="In place of a voice, the name of one cloned of a recording in the store;"
        " a service with the engine `openvoice` has such.",
    )
    replace: bool = Field(default=False, description="Write over another text under this key.")


class ChunkAnswer(BaseModel):
    """Where the take lies."""

    success: Literal[True] = True
    bucket: str
    s3_key: str
    s3_url: str
    size_bytes: int
    sha256: str
    duration_seconds: float
    reused: bool = Field(description="Whether it was there already: nothing was rendered.")


class SpeechRequest(BaseModel):
    """As OpenAI's ``POST /v1/audio/speech``."""

    model_config = ConfigDict(strict=True)

    model: Name = Field(description="The engine's name; `tts-1` and the like mean it too.")
    input: str = Field(
        min_length=1,
        max_length=MOST_INPUT_CHARACTERS,
        description="Text or SSML, of any number of paragraphs.",
    )
    voice: Name = Field(description="One of `/voices`; `alloy` and the like are not here.")
    speed: Speed = 1.0
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = Field(
        default="mp3", description="What the audio comes as."
    )
    stream_format: Literal["audio"] = Field(
        default="audio", description="Audio as it is; no server-sent events."
    )
    language: Language | None = Field(default=None, description="The voice's own if not given.")
    instructions: Literal[""] | None = Field(
        default=None, description="No engine here follows any."
    )


class VoiceAnswer(BaseModel):
    """A voice."""

    name: str
    language: str
    default: bool = Field(description="Whether it is its language's default.")


class ReadyAnswer(BaseModel):
    """What a service that works says of itself."""

    status: Literal["ready"] = "ready"
    engine: str
