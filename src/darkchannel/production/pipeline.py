"""plan -> render -> assemble -> publish: the life of one job."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darkchannel.errors import JobConflictError
from darkchannel.models import JobStatus, Plan
from darkchannel.production.cloned import sounds_of
from darkchannel.production.patience import patiently
from darkchannel.production.planning import plan_text
from darkchannel.production.progress import OnProgress, Progress, ignore_progress
from darkchannel.production.publishing import check_output, fetch_book
from darkchannel.production.request import (
    RenderOptions,
    RenderRequest,
    RenderResult,
    is_ssml,
)
from darkchannel.production.run import JobRun, RunParts
from darkchannel.speech.engine import Engine


@dataclass(frozen=True, slots=True)
class Production(RunParts):
    """Makes books of texts, and goes on with those that were begun."""

    def render(
        self,
        request: RenderRequest,
        *,
        output: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> RenderResult:
        """Make a text a book, or go on where an earlier run of the same request stopped.

        Args:
            request: what to read and how.
            output: where to put the MP3; its siblings are put beside it.
            on_progress: told where the run stands.

        Raises:
            InputError: the request cannot be rendered; nothing was written.
            JobConflictError: the job id is taken by another input or other options.
            JobBusyError: another process is at this job.
            JobCancelledError: the job was cancelled meanwhile.
            DarkChannelError: anything else that failed; finished takes are kept.
        """
        if output is not None:
            check_output(output)
        on_progress(Progress("planning"))
        engine = self.make_engine()
        try:
            plan, job_id = self.plan(request, engine)
        finally:
            engine.close()
        self.create(request, job_id, plan)
        return self._run(job_id, plan, request.use_cache, output, on_progress)

    def plan(self, request: RenderRequest, engine: Engine) -> tuple[Plan, str]:
        """What a request would say, and the id its job would have; nothing is written.

        Raises:
            InputError: the request cannot be rendered.
        """
        request.check()
        ssml = is_ssml(request.input_format)
        plan = plan_text(request.data, request.options, engine, ssml=ssml)
        return plan, request.resolve_job_id(sounds_of(plan))

    def create(self, request: RenderRequest, job_id: str, plan: Plan, **fields: Any) -> None:
        """Create the job of a request, or find the one that was created so before.

        Args:
            request: what to read and how.
            job_id: of the job.
            plan: of the request.
            **fields: further metadata.

        Raises:
            JobConflictError: the job id is taken by another input.
        """
        options = request.options
        self.jobs.create_job(
            options.title or plan.title or _only_chapter(plan) or request.name,
            request.data,
            job_id=job_id,
            input_format=request.input_format,
            engine=options.engine,
            voice=plan.chunks[0].voice,
            language=options.language,
            options=options.to_dict(),
            **fields,
        )

    def resume(
        self,
        job_id: str,
        *,
        output: Path | None = None,
        use_cache: bool = True,
        on_progress: OnProgress = ignore_progress,
    ) -> RenderResult:
        """Go on with a job from what the store knows of it.

        Raises:
            JobNotFoundError: there is no such job.
            IntegrityError: its plan was changed.
            DarkChannelError: as :meth:`render`.
        """
        if output is not None:
            check_output(output)
        plan = self._plan_again(self.jobs.get_job_metadata(job_id))
        return self._run(job_id, plan, use_cache, output, on_progress)

    def merge(self, job_id: str) -> None:
        """Make the book of takes that others rendered.

        Raises:
            MergeError: takes are missing or broken; the message names their chunks.
            DarkChannelError: as :meth:`render`.
        """
        plan = Plan.from_json(self.jobs.read_plan(job_id))
        with self.jobs.acquire(job_id) as lease:
            self.on_lease(lease)
            metadata = patiently(lambda: self.jobs.get_job_metadata(job_id), self.keep_store)
            if metadata["status"] != JobStatus.COMPLETED:
                JobRun(self, lease, job_id, plan).produce(metadata, render=False)

    def _plan_again(self, metadata: dict[str, Any]) -> Plan:
        """The plan of a job: as it was written, or made anew where it was not."""
        job_id = metadata["job_id"]
        engine = self.make_engine()
        try:
            if not metadata.get("plan_sha256"):
                data = self.jobs.read_input(job_id)
                options = RenderOptions.from_dict(metadata["options"])
                return plan_text(data, options, engine, ssml=is_ssml(metadata["input_format"]))
            plan = Plan.from_json(self.jobs.read_plan(job_id))
            if plan.engine != engine.fingerprint and metadata["status"] != JobStatus.COMPLETED:
                raise JobConflictError(
                    f"job {job_id} was begun with another version of its engine ({plan.engine})",
                    remedy="render the text again: that makes a new job",
                )
            return plan
        finally:
            engine.close()

    def _run(
        self,
        job_id: str,
        plan: Plan,
        use_cache: bool,
        output: Path | None,
        on_progress: OnProgress,
    ) -> RenderResult:
        started = time.monotonic()
        with self.jobs.acquire(job_id) as lease:
            self.on_lease(lease)
            metadata = patiently(lambda: self.jobs.get_job_metadata(job_id), self.keep_store)
            patiently(lambda: self._settle_plan(job_id, plan, metadata), self.keep_store)
            run = JobRun(self, lease, job_id, plan, use_cache, on_progress)
            finished = None
            if metadata["status"] == JobStatus.COMPLETED:
                finished = patiently(
                    lambda: fetch_book(self.client, self.store.buckets, metadata, output),
                    self.keep_store,
                )
            if finished is None:
                finished = run.produce(metadata, output)
        on_progress(replace(run.progress, stage="done", fraction=1.0))
        return RenderResult(
            job_id=job_id,
            title=metadata["chapter_title"],
            output_key=finished.output_key,
            chunks_total=len(plan.chunks),
            chunks_rendered=run.rendered,
            chunks_reused=len(plan.chunks) - run.rendered,
            duration_seconds=finished.duration_seconds,
            render_seconds=time.monotonic() - started,
            files=finished.files,
            report=finished.report,
            warnings=tuple(f"line {warning.line}: {warning.message}" for warning in plan.warnings),
        )

    def _settle_plan(self, job_id: str, plan: Plan, metadata: dict[str, Any]) -> None:
        """Write the plan once, or make sure that the one written is this one."""
        if not metadata.get("plan_sha256"):
            self.jobs.write_plan(job_id, plan.to_json())
            return
        stored = Plan.from_json(self.jobs.read_plan(job_id))
        if stored != plan:
            raise JobConflictError(
                f"job {job_id} was planned with other options",
                remedy="leave --job-id out, or name another",
            )


def _only_chapter(plan: Plan) -> str | None:
    """The title of a text that is one chapter."""
    return plan.chapters[0].title if len(plan.chapters) == 1 else None
