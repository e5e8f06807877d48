"""What goes into the jobs API and comes out of it, as types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from darkchannel.api.speech_models import Language, Name, Speed, Strict
from darkchannel.models import JobStatus, Plan
from darkchannel.production.request import RenderOptions
from darkchannel.production.sharing import USUAL_PRIORITY

JOB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MOST_TEXT_CHARACTERS = 8_000_000
"""Of a text in JSON: twice the longest novels."""

Title = Annotated[str, Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT_CHARACTERS)]


class PlanRequest(Strict):
    """A text and how to read it: the options of `darkchannel plan`."""

    text: Text | None = Field(default=None, description="Plain text; or else `ssml` or a file.")
    ssml: Text | None = Field(default=None, description="SSML.")
    title: Title | None = Field(default=None, description="The text's own if not given.")
    voice: Name | None = Field(default=None, description="The language's default if not given.")
    language: Language = "pt-BR"
    speed: Speed = 1.0
    engine: Name | None = Field(default=None, description="This service's; no other is here.")
    preset: Name = Field(default="acx", description="Loudness: `acx`, `r128` or `podcast`.")
    encoding: Name | None = Field(default=None, description="Of a file that is not UTF-8.")
    strict: bool = Field(default=False, description="Refuse what would only be warned about.")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.text is not None and self.ssml is not None:
            raise ValueError("send one of text and ssml")
        return self

    def options(self, engine: str) -> RenderOptions:
        """As production knows them."""
        return RenderOptions(
            title=self.title,
            voice=self.voice,
            language=self.language,
            speed=self.speed,
            engine=engine,
            preset=self.preset,
            encoding=self.encoding,
            strict=self.strict,
        )


class JobRequest(PlanRequest):
    """A text to be made a book: the options of `darkchannel render`."""

    job_id: str | None = Field(
        default=None,
        pattern=JOB_ID,
        description="An id of your own: the same request with it again finds the same job.",
    )
    use_cache: bool = Field(default=True, description="Whether other jobs' takes may be used.")
    priority: int = Field(
        default=USUAL_PRIORITY,
        ge=1,
        le=100,
        description="A job's share of the speech workers, beside the priorities of the others.",
    )
    render: Literal["here", "external"] = Field(
        default="here",
        description="`external`: you render the chunks of the plan, register and merge them.",
    )
    webhook_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        max_length=1000,
        description="Told, signed, when the job is completed or has failed.",
    )


class JobError(BaseModel):
    """Why a job failed."""

    type: str
    message: str
    chunk: int | None = None


class JobAnswer(BaseModel):
    """A job, and where it stands."""

    success: Literal[True] = True
    job_id: str
    status: JobStatus
    created_at: str
    updated_at: str
    completed_at: str | None = None
    chapter_title: str
    revision: int = Field(description="Grows with every change.")
    chunks_total: int = 0
    chunks_completed: int = 0
    fraction: float = Field(description="Chunks rendered, 0 to 1.")
    engine: str | None = None
    voice: str | None = None
    language: str | None = None
    priority: int = USUAL_PRIORITY
    render: Literal["here", "external"] = "here"
    duration_seconds: float | None = None
    output_key: str | None = None
    output_url: str | None = Field(
        default=None, description="Its place in the store; links are at `/download-url`."
    )
    error: JobError | None = None
    webhook: str | None = Field(default=None, description="`delivered`, `failed`, or not yet.")

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Self:
        """From a job's metadata; who works on it and its secrets stay inside."""
        known = {name: metadata[name] for name in cls.model_fields if name in metadata}
        total, done = metadata.get("chunks_total") or 0, metadata.get("chunks_completed") or 0
        error = known.get("error")
        if error is not None and not isinstance(error, Mapping):
            known["error"] = {"type": "Error", "message": str(error)}
        known["fraction"] = round(min(1.0, done / total), 4) if total else 0.0
        return cls(**known)


class NewJobAnswer(JobAnswer):
    """A job that was asked for."""

    created: bool = Field(default=True, description="False if it was there already.")


class JobsAnswer(BaseModel):
    """A page of jobs, in order of their ids."""

    success: Literal[True] = True
    jobs: list[JobAnswer]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class LinkAnswer(BaseModel):
    """A fresh link."""

    success: Literal[True] = True
    job_id: str
    download_url: str
    expires_in: int = Field(description="Seconds.")


class RegisteredAnswer(BaseModel):
    """A chunk that counts."""

    success: Literal[True] = True
    job_id: str
    chunk: int
    chunks_completed: int
    chunks_total: int


class PlannedChunk(BaseModel):
    """A chunk of a plan."""

    index: int
    text: str
    spoken: str
    voice: str
    language: str
    speed: float
    span: tuple[int, int] = Field(description="Characters of the input, from and to.")
    pause_after_seconds: float
    digest: str = Field(description="What the take of this chunk is known by.")


class PlanWarning(BaseModel):
    """What is doubtful in a text."""

    line: int
    message: str


class UnspokenSpan(BaseModel):
    """What will not be said, and why."""

    span: tuple[int, int]
    reason: str


class PlanAnswer(BaseModel):
    """What would be said, as `darkchannel plan --json` tells it."""

    success: Literal[True] = True
    title: str | None
    chunks: list[PlannedChunk]
    warnings: list[PlanWarning]
    unspoken: list[UnspokenSpan]
    estimated_seconds: float

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """From a plan."""
        chunks = [
            PlannedChunk(
                index=chunk.index,
                text=chunk.text,
                spoken=chunk.spoken,
                voice=chunk.voice,
                language=chunk.language,
                speed=chunk.speed,
                span=(chunk.span[0], chunk.span[1]),
                pause_after_seconds=chunk.pause_after,
                digest=chunk.digest,
            )
            for chunk in plan.chunks
        ]
        return cls(
            title=plan.title,
            chunks=chunks,
            warnings=[PlanWarning(line=one.line, message=one.message) for one in plan.warnings],
            unspoken=[
                UnspokenSpan(span=(one.span[0], one.span[1]), reason=one.reason)
                for one in plan.unspoken
            ],
            estimated_seconds=plan.estimated_seconds,
        )
