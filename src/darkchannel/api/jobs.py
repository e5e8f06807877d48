"""The jobs API: texts become books; where they stand; links to them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from darkchannel.api import logs
from darkchannel.api.application import Service, new_app
from darkchannel.api.job_bodies import MAX_BODY_BYTES, body_schema, read_body
from darkchannel.api.job_events import Streams
from darkchannel.api.jobs_models import (
    JOB_ID,
    JobAnswer,
    JobRequest,
    JobsAnswer,
    LinkAnswer,
    NewJobAnswer,
    PlanAnswer,
    PlanRequest,
    RegisteredAnswer,
)
from darkchannel.api.jobs_service import JobsService
from darkchannel.api.problems import documented
from darkchannel.api.speech_engine import voice_answers
from darkchannel.api.speech_models import ReadyAnswer, VoiceAnswer
from darkchannel.models import JobStatus
from darkchannel.production.runner import JobsParts
from darkchannel.storage.client import MAX_LINK_SECONDS

_DESCRIPTION = """Takes texts and makes them audiobooks: jobs run behind this service, survive it,
and share its speech workers fairly."""

JobId = Annotated[str, Path(pattern=JOB_ID)]
MAX_PAGE = 100


def jobs_app(service: Service, parts: JobsParts) -> FastAPI:
    """The jobs API.

    Args:
        service: what its parts share.
        parts: production, workers and store.
    """
    jobs = JobsService(service, parts)
    app = new_app(
        service,
        title="DarkChannel jobs API",
        description=_DESCRIPTION,
        max_body_bytes=MAX_BODY_BYTES,
        lifespan=jobs.running,
    )
    app.state.jobs = jobs
    for routes in (_state_routes, _plan_routes, _job_routes, _life_routes, _outside_routes):
        app.include_router(routes(jobs))
    return app


def _state_routes(jobs: JobsService) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get(
        "/readyz",
        summary="Whether jobs are taken and worked on",
        responses=documented(503),
    )
    async def readyz() -> ReadyAnswer:
        await jobs.check_ready()
        return ReadyAnswer(engine=jobs.parts.engine)

    @router.get("/v1/voices", summary="The engine's voices")
    async def voices() -> list[VoiceAnswer]:
        return await jobs.read(voice_answers)

    return router


def _plan_routes(jobs: JobsService) -> APIRouter:
    router = APIRouter(tags=["plan"])

    @router.post(
        "/v1/plan",
        summary="What would be said; renders and keeps nothing",
        response_model=PlanAnswer,
        responses=documented(400, 415, 422),
        openapi_extra=body_schema(PlanRequest),
    )
    async def plan(request: Request) -> Response:
        _, sent = await read_body(request, PlanRequest)
        found = await jobs.plan(sent)
        # A book's plan is large: writing it here would hold up everybody else.
        data = await asyncio.to_thread(lambda: PlanAnswer.of(found).model_dump_json())
        return Response(data, media_type="application/json")

    return router


def _job_routes(jobs: JobsService) -> APIRouter:
    router = APIRouter(tags=["jobs"])

    @router.post(
        "/v1/jobs",
        status_code=202,
        summary="Have a text made a book",
        responses=documented(400, 409, 415, 422, 507),
        openapi_extra=body_schema(JobRequest),
    )
    async def create(
        request: Request,
        idempotency_key: Annotated[
            str | None, Header(min_length=1, max_length=255, description="In place of a job_id.")
        ] = None,
    ) -> NewJobAnswer:
        """The same request with the same `job_id` or `Idempotency-Key` finds the same job.

        With other text or options it is a 409. Without either, every request makes a new job.
        """
        wanted, sent = await read_body(request, JobRequest)
        job, created = await jobs.create(wanted, sent, idempotency_key)
        logs.bind(job_id=job["job_id"])
        return NewJobAnswer(**JobAnswer.of(job).model_dump(), created=created)

    @router.get("/v1/jobs", summary="All jobs, page by page", responses=documented(422))
    async def page(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[
            str, Query(max_length=128, description="`next_cursor` of the page before.")
        ] = "",
    ) -> JobsAnswer:
        """In order of their ids. A job that has ended may be shown as it was 10 seconds ago."""
        found, more = await jobs.store(jobs.listing.page, limit, cursor)
        return JobsAnswer(jobs=[JobAnswer.of(job) for job in found], next_cursor=more)

    @router.get("/v1/jobs/{job_id}", summary="Where a job stands", responses=documented(404, 422))
    async def show(job_id: JobId) -> JobAnswer:
        logs.bind(job_id=job_id)
        return JobAnswer.of(await jobs.store(jobs.jobs.get_job_metadata, job_id))

    @router.get(
        "/v1/jobs/{job_id}/download-url",
        summary="A fresh link to a finished book",
        responses=documented(404, 409, 422),
    )
    async def link(
        job_id: JobId,
        expires: Annotated[int, Query(ge=1, le=MAX_LINK_SECONDS, description="Seconds.")] = 3600,
    ) -> LinkAnswer:
        logs.bind(job_id=job_id)
        url = await jobs.store(jobs.link, job_id, expires)
        return LinkAnswer(job_id=job_id, download_url=url, expires_in=expires)

    return router


def _life_routes(jobs: JobsService) -> APIRouter:
    router = APIRouter(tags=["jobs"])
    streams = Streams(jobs)

    @router.delete("/v1/jobs/{job_id}", summary="Cancel a job", responses=documented(404, 409, 422))
    async def cancel(job_id: JobId) -> JobAnswer:
        """Its takes are kept: it can be resumed. A completed job cannot be cancelled (409)."""
        logs.bind(job_id=job_id)
        return JobAnswer.of(await jobs.store(jobs.cancel, job_id))

    @router.post(
        "/v1/jobs/{job_id}/resume",
        status_code=202,
        summary="Go on with a job that failed or was cancelled",
        responses=documented(404, 409, 422),
    )
    async def resume(job_id: JobId) -> JobAnswer:
        """Only what is missing is rendered. A job that is being worked on is a 409."""
        logs.bind(job_id=job_id)
        return JobAnswer.of(await jobs.store(jobs.resume, job_id))

    @router.get(
        "/v1/jobs/{job_id}/events",
        summary="A job's changes as server-sent events",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            204: {"description": "The job has ended, and you know it."},
            **documented(404, 422),
        },
    )
    async def events(
        job_id: JobId,
        last_event_id: Annotated[
            str, Header(max_length=40, description="The id of the last event you have.")
        ] = "",
    ) -> Response:
        """Each event is named `job`, its id is the job's revision, its data the job as JSON.

        The stream ends with the job. Connect again with `Last-Event-ID` to go on.
        """
        logs.bind(job_id=job_id)
        job = await jobs.store(jobs.jobs.get_job_metadata, job_id)
        last = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else -1
        if JobStatus(job["status"]).final and last >= job["revision"]:
            return Response(status_code=204)  # tells EventSource not to come again
        return StreamingResponse(streams.follow(job, last), media_type="text/event-stream")

    return router


def _outside_routes(jobs: JobsService) -> APIRouter:
    router = APIRouter(tags=["chunks rendered elsewhere"])

    @router.post(
        "/v1/jobs/{job_id}/chunks/{chunk}",
        summary="Register a chunk that was rendered elsewhere",
        responses=documented(404, 409, 422),
    )
    async def register(job_id: JobId, chunk: Annotated[int, Path(ge=1)]) -> RegisteredAnswer:
        """Verifies the take in the store and counts it, once however often it is called."""
        logs.bind(job_id=job_id, chunk=chunk)
        job = await jobs.store(jobs.register, job_id, chunk)
        return RegisteredAnswer(
            job_id=job_id,
            chunk=chunk,
            chunks_completed=job["chunks_completed"],
            chunks_total=job["chunks_total"],
        )

    @router.post(
        "/v1/jobs/{job_id}/merge",
        status_code=202,
        summary="Make the book of chunks rendered elsewhere",
        responses=documented(404, 409, 422),
    )
    async def merge(job_id: JobId) -> JobAnswer:
        """A 409 names the chunks that are missing. The book is made in the background."""
        logs.bind(job_id=job_id)
        return JobAnswer.of(await jobs.store(jobs.merge, job_id))

    return router
