"""What the routes of the jobs API share, and what they do: jobs made, found, ended, gone on with.

Everything here but :meth:`JobsService.running` and the calls that hand work to threads blocks,
and runs in threads of its own.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI

from darkchannel.api.application import Service
from darkchannel.api.job_bodies import Sent
from darkchannel.api.jobs_models import JobRequest
from darkchannel.api.listing import Listing
from darkchannel.api.metrics import ChunkResult
from darkchannel.api.webhooks import Webhooks
from darkchannel.errors import (
    DarkChannelError,
    EngineUnavailableError,
    JobConflictError,
    JobNotFoundError,
    SettingError,
    UnavailableError,
)
from darkchannel.models import JobStatus, Plan
from darkchannel.production.outside import (
    find_takes,
    register_chunk,
    require_all,
    require_outside,
    require_registrable,
)
from darkchannel.production.runner import RUNNER, JobRunner, JobsParts, owes_webhook
from darkchannel.speech.engine import Engine
from darkchannel.storage.keys import check_job_id
from darkchannel.storage.retry import backoff

T = TypeVar("T")
Metadata = Mapping[str, Any]
LOG = logging.getLogger("darkchannel.jobs")

_IDEMPOTENCY_NAMESPACE = uuid.UUID("c5b1f4e2-0d6e-5c35-9d7b-3d1f0f3a7a11")
_STORE_THREADS = 16
_PLANS_KEPT = 8


class JobsService:
    """The jobs API without HTTP."""

    def __init__(self, service: Service, parts: JobsParts) -> None:
        self.service = service
        self.parts = parts
        self.production = parts.production
        self.jobs = parts.production.jobs
        self.client = parts.production.client
        self.engine = parts.production.make_engine()
        self.webhooks = Webhooks(service.settings.http, self._webhook_ended)
        self.runner = JobRunner(
            parts.runner_production,
            parts.pool,
            on_end=self._ended,
            on_scan=self._count,
            on_take=service.metrics.took,
            on_failure=self._failed,
        )
        self.listing = Listing(self.jobs, self.runner.metadata_of)
        service.metrics.queue_depth.set_function(lambda: parts.pool.depth)
        self._missing: DarkChannelError | None = EngineUnavailableError("the service starts")
        # One thread, because one engine is used by one thread at a time.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="plan")
        self._store = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")
        self._pings = ThreadPoolExecutor(1, thread_name_prefix="ready")
        self._plan = functools.lru_cache(maxsize=_PLANS_KEPT)(self._read_plan)

    @asynccontextmanager
    async def running(self, _app: FastAPI) -> AsyncIterator[None]:
        """Get the weights, look for jobs, and end everything at the end."""
        starting = asyncio.create_task(self._start())
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.to_thread(self.runner.stop)
            self.webhooks.stop()
            self.listing.close()
            for threads in (self._reader, self._store, self._pings):
                threads.shutdown(wait=False, cancel_futures=True)

    async def store(self, call: Callable[..., T], *args: Any) -> T:
        """Talk to the store in a thread."""
        return await self._in(self._store, functools.partial(call, *args))

    async def check_ready(self) -> None:
        """See that jobs can be taken and worked on.

        Raises:
            UnavailableError: weights are missing, the store is away, or the service stops.
        """
        if self.service.drain.begun:
            raise UnavailableError("the service is stopping")
        if self._missing is not None:
            raise self._missing
        try:
            await asyncio.get_running_loop().run_in_executor(self._pings, self.client.ping)
        except DarkChannelError as error:
            raise UnavailableError(error.message, remedy=error.remedy) from error

    async def plan(self, sent: Sent) -> Plan:
        """What a text would say."""
        request = sent.request(self._engine_name(sent.options.engine))
        plan, _ = await self.read(functools.partial(self.production.plan, request))
        return plan

    async def read(self, call: Callable[[Engine], T]) -> T:
        """Have something asked of the engine, in its thread."""
        return await self._in(self._reader, functools.partial(call, self.engine))

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        """Wait in a thread; what goes wrong with the store is counted."""
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        except DarkChannelError as error:
            self.service.metrics.failed_with(error)
            raise

    async def create(
        self, wanted: JobRequest, sent: Sent, key: str | None
    ) -> tuple[Metadata, bool]:
        """Create a job, or find the one that the same request created before.

        Args:
            wanted: what is asked for.
            sent: its text.
            key: of the caller, in place of a job id.

        Returns:
            The job, and whether it is new.

        Raises:
            JobConflictError: there is another job of that id.
            InputError: the request cannot be rendered; nothing was written.
        """
        if wanted.webhook_url is not None:
            self.webhooks.require_allowed(wanted.webhook_url)
        job_id = wanted.job_id or self._job_id_of(key)
        plan = await self.plan(sent)
        if wanted.render == "external":
            require_registrable(plan)
        return await self.store(self._create, wanted, sent, check_job_id(job_id), plan)

    def cancel(self, job_id: str) -> Metadata:
        """Cancel a job; its takes are kept."""
        job = self.jobs.cancel(job_id)
        self.runner.cancel(job_id)
        return job

    def resume(self, job_id: str) -> Metadata:
        """Go on with a job that failed, was cancelled or was left behind; done ones stay so."""
        job = self.jobs.get_job_metadata(job_id)
        if job["status"] == JobStatus.COMPLETED:
            return job
        fields = {"runner": RUNNER, "webhook": None}
        if job.get("render") == "external":
            fields["merge_requested"] = None
        job = self.jobs.update_job_status(job_id, JobStatus.PENDING, **fields)
        self.listing.forget(job_id)
        self.runner.submit(job_id)
        return job

    def link(self, job_id: str, expires: int) -> str:
        """A fresh link to a finished book."""
        job = self.jobs.get_job_metadata(job_id)
        if job["status"] != JobStatus.COMPLETED:
            raise JobConflictError(
                f"job {job_id} is {job['status']}: there is nothing to download yet",
                remedy=f"wait for it: GET /v1/jobs/{job_id}/events",
            )
        output = self.client.config.buckets.output
        return self.client.generate_presigned_url(output, job["output_key"], expires)

    def register(self, job_id: str, index: int) -> Metadata:
        """Verify and count a chunk rendered elsewhere."""
        job = self.jobs.get_job_metadata(job_id)
        require_outside(job)
        plan = self._plan(job_id, job.get("plan_sha256", ""))
        return register_chunk(self.jobs, job_id, index, plan)

    def merge(self, job_id: str) -> Metadata:
        """Have the book made of chunks rendered elsewhere, if they are all there."""
        job = self.jobs.get_job_metadata(job_id)
        require_outside(job)
        if job["status"] == JobStatus.COMPLETED:
            return job
        if job.get("merge_requested") and not JobStatus(job["status"]).final:
            self.runner.submit(job_id)  # asked for before: it may be under way
            return job
        plan = self._plan(job_id, job.get("plan_sha256", ""))
        require_all(plan.chunks, find_takes(self.client, self.jobs.bucket, job_id, plan.chunks))
        job = self.jobs.update_job_status(
            job_id, JobStatus.PROCESSING, merge_requested=True, webhook=None
        )
        self.runner.submit(job_id)
        return job

    async def _start(self) -> None:
        attempt = 0
        while self._missing is not None:
            try:
                await asyncio.to_thread(self.parts.fetch)
                self._missing = None
            except DarkChannelError as error:
                LOG.error("the engine cannot be loaded: %s", error.message)
                self._missing = EngineUnavailableError(error.message, remedy=error.remedy)
                attempt += 1
                await asyncio.sleep(backoff(attempt, first=1.0, longest=30.0))
        self.runner.start()

    def _create(
        self, wanted: JobRequest, sent: Sent, job_id: str, plan: Plan
    ) -> tuple[Metadata, bool]:
        request = sent.request(self.parts.engine, job_id, wanted.use_cache)
        before = self._look(job_id)
        fields: dict[str, Any] = {
            "runner": RUNNER,
            "chunks_total": len(plan.chunks),
            "priority": wanted.priority,
            "render": wanted.render,
            "use_cache": wanted.use_cache,
        }
        if wanted.webhook_url is not None:
            fields["webhook_url"] = wanted.webhook_url
        self.production.create(request, job_id, plan, **fields)
        job = self.jobs.get_job_metadata(job_id)
        asked = {"options": request.options.to_dict(), **fields}
        different = sorted(
            name
            for name in asked
            if name not in {"runner", "chunks_total"} and job.get(name) != asked[name]
        )
        if different:
            raise JobConflictError(
                f"job {job_id} exists already with other {', '.join(different)}",
                remedy="choose another job id",
            )
        if not job.get("plan_sha256"):
            self.jobs.write_plan(job_id, plan.to_json())
        if before is None and wanted.render == "here":
            self.runner.submit(job_id)
        return self.jobs.get_job_metadata(job_id), before is None

    def _engine_name(self, asked: str | None) -> str:
        if asked not in {None, self.parts.engine, self.engine.name}:
            raise SettingError(
                f"this service has no engine {asked!r}", remedy=f"choose {self.engine.name}"
            )
        return self.parts.engine

    def _job_id_of(self, key: str | None) -> str:
        if key is None:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_IDEMPOTENCY_NAMESPACE, key))

    def _look(self, job_id: str) -> Metadata | None:
        try:
            return self.jobs.get_job_metadata(job_id)
        except JobNotFoundError:
            return None

    def _read_plan(self, job_id: str, _sha256: str) -> Plan:
        return Plan.from_json(self.jobs.read_plan(job_id))

    def _ended(self, job: Metadata) -> None:
        if owes_webhook(job):
            self.webhooks.send(job)

    def _webhook_ended(self, job: Metadata, result: str) -> None:
        try:
            self.jobs.update_job_status(job["job_id"], job["status"], webhook=result)
        except DarkChannelError as error:
            LOG.warning("webhook of job %s: %s", job["job_id"], error.message)

    def _count(self, counts: Mapping[str, int]) -> None:
        for status in JobStatus:
            self.service.metrics.jobs.labels(status.value).set(counts.get(status.value, 0))

    def _failed(self, error: DarkChannelError) -> None:
        self.service.metrics.failed_with(error)
        if error.chunk is not None:
            self.service.metrics.chunks.labels(ChunkResult.FAILED.value).inc()
