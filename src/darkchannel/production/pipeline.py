"""plan -> render -> assemble -> publish: the life of one job."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from darkchannel.audio.mastering import MasteredBook, master
from darkchannel.audio.presets import get_preset
from darkchannel.config import StoreConfig
from darkchannel.errors import (
    DarkChannelError,
    JobCancelledError,
    JobConflictError,
    LeaseLostError,
    MergeError,
    NotFoundError,
)
from darkchannel.models import Chunk, JobStatus, Plan, Take
from darkchannel.production.gate import find_broken_takes, read_takes
from darkchannel.production.patience import patiently
from darkchannel.production.planning import plan_text
from darkchannel.production.progress import OnProgress, Progress, ignore_progress
from darkchannel.production.publishing import (
    FinishedBook,
    check_output,
    fetch_book,
    place_files,
    publish,
)
from darkchannel.production.rendering import Pool, render_takes
from darkchannel.production.request import RenderOptions, RenderRequest, RenderResult
from darkchannel.production.worker import EngineFactory, TakeTask, sample_lengths
from darkchannel.storage import JobLease, JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key, chunks_prefix, take_cache_key

_STORE_CARE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Production:
    """The parts a run needs, put together by the composition root.

    Attributes:
        store: where everything lies; also told to workers.
        client: for this process.
        jobs: state of jobs.
        make_engine: builds the engine here and in workers.
        pool: where chunks are rendered.
        keep_store: called now and then during a run; brings an embedded store back that died.
    """

    store: StoreConfig
    client: MinIOClient
    jobs: JobManager
    make_engine: EngineFactory
    pool: Pool
    keep_store: Callable[[], object] = lambda: None

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
        get_preset(request.options.preset)
        on_progress(Progress("planning"))
        engine = self.make_engine()
        try:
            plan = plan_text(
                request.data, request.options, engine, ssml=_ssml(request.input_format)
            )
            job_id = request.resolve_job_id(engine.fingerprint)
        finally:
            engine.close()
        options = request.options
        title = options.title or plan.title or _only_chapter(plan) or request.name
        self.jobs.create_job(
            title,
            request.data,
            job_id=job_id,
            input_format=request.input_format,
            engine=options.engine,
            voice=plan.chunks[0].voice,
            language=options.language,
            options=options.to_dict(),
        )
        return self._run(job_id, plan, request.use_cache, output, on_progress)

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

    def _plan_again(self, metadata: dict[str, Any]) -> Plan:
        """The plan of a job: as it was written, or made anew where it was not."""
        job_id = metadata["job_id"]
        engine = self.make_engine()
        try:
            if not metadata.get("plan_sha256"):
                data = self.jobs.read_input(job_id)
                options = RenderOptions.from_dict(metadata["options"])
                return plan_text(data, options, engine, ssml=_ssml(metadata["input_format"]))
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
            metadata = patiently(lambda: self.jobs.get_job_metadata(job_id), self.keep_store)
            patiently(lambda: self._settle_plan(job_id, plan, metadata), self.keep_store)
            run = _Run(self, lease, job_id, plan, use_cache, on_progress)
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


@dataclass
class _Run:
    """One run of a job under its lease."""

    parts: Production
    lease: JobLease
    job_id: str
    plan: Plan
    use_cache: bool
    on_progress: OnProgress
    takes: dict[int, Take] = field(default_factory=dict)
    rendered: int = 0
    audio_seconds: float = 0.0
    looked_after_store: float = 0.0

    @property
    def progress(self) -> Progress:
        """Where the run stands, as a rendering in progress."""
        total = len(self.plan.chunks)
        return Progress(
            "rendering",
            self.job_id,
            chunks_total=total,
            chunks_done=len(self.takes),
            chunks_reused=len(self.takes) - self.rendered,
            audio_seconds=self.audio_seconds,
            fraction=len(self.takes) / total,
        )

    def produce(self, metadata: dict[str, Any], output: Path | None) -> FinishedBook:
        """Render, check, master and publish; the job's metadata says how it went."""
        try:
            self._update(status=JobStatus.PROCESSING, chunks_total=len(self.plan.chunks))
            self._render(self.plan.chunks)
            self._pass_gate()
            self._update(status=JobStatus.MERGING, chunks_completed=len(self.takes))
            with tempfile.TemporaryDirectory(prefix="darkchannel-") as directory:
                book = self._master(metadata, Path(directory))
                self.check()
                self.on_progress(replace(self.progress, stage="publishing", fraction=0.0))
                finished = publish(
                    self.parts.client, self.parts.store.buckets, self.job_id, metadata, book
                )
                self._update(status=JobStatus.COMPLETED, **finished.metadata)
                return place_files(finished, output)
        except JobCancelledError:
            raise  # the metadata says so already
        except LeaseLostError as error:
            self._require_job(error)
            raise  # the metadata belongs to somebody else
        except KeyboardInterrupt:
            self._record(status=JobStatus.CANCELLED)
            raise
        except DarkChannelError as error:
            self._require_job(error)
            self._record(
                status=JobStatus.FAILED,
                error={
                    "type": type(error).__name__,
                    "message": error.message,
                    "chunk": error.chunk,
                },
            )
            raise

    def check(self) -> None:
        """Stop a run that was cancelled or whose job belongs to somebody else by now."""
        if time.monotonic() - self.looked_after_store > _STORE_CARE_SECONDS:
            self.looked_after_store = time.monotonic()
            self.parts.keep_store()
        self.lease.check()

    def _update(self, **fields: Any) -> None:
        patiently(lambda: self.lease.update(**fields), self.check)

    def _require_job(self, error: DarkChannelError) -> None:
        """Name a bucket or a job deleted under the run rather than what comes of it.

        Raises:
            NotFoundError: there is no such bucket any more.
            LeaseLostError: the bucket is there, and the job is not.
        """
        if not isinstance(error, (NotFoundError, LeaseLostError, MergeError)):
            return
        bucket = self.parts.store.buckets.jobs
        try:
            next(self.parts.client.list(bucket, chunks_prefix(self.job_id)), None)
            if not isinstance(error, LeaseLostError):
                self.lease.update()
        except (NotFoundError, LeaseLostError) as gone:
            raise gone from error
        except DarkChannelError:
            return  # the first error is the news

    def _record(self, **fields: Any) -> None:
        """Write how it ended; what ended it is the news, so a store that is gone adds none."""
        with contextlib.suppress(DarkChannelError):
            self.lease.update(**fields, chunks_completed=len(self.takes))

    def _render(self, chunks: tuple[Chunk, ...]) -> None:
        bucket, prefix = self.parts.store.buckets.jobs, chunks_prefix(self.job_id)
        existing = patiently(
            lambda: {info.key for info in self.parts.client.list(bucket, prefix)}, self.check
        )

        lengths = sample_lengths(chunks)

        def task(chunk: Chunk, again: bool) -> TakeTask:
            return TakeTask(
                job_id=self.job_id,
                chunk=chunk,
                store=self.parts.store,
                make_engine=self.parts.make_engine,
                may_exist=again or chunk_key(self.job_id, chunk.index) in existing,
                use_cache=self.use_cache,
                lengths=lengths,
            )

        self.on_progress(self.progress)
        render_takes(chunks, task, self.parts.pool, on_take=self._took, check=self.check)

    def _took(self, take: Take) -> None:
        self.takes[take.index] = take
        if not take.reused:
            self.rendered += 1
            self.audio_seconds += take.seconds
        self.lease.progress(len(self.takes))
        self.on_progress(self.progress)

    def _pass_gate(self) -> None:
        """Check every take; render broken ones once more, then insist."""
        self.on_progress(replace(self.progress, stage="checking", fraction=0.0))
        broken = self._broken(self.plan.chunks)
        if not broken:
            return
        again = tuple(self.plan.chunks[error.chunk - 1] for error in broken if error.chunk)
        for chunk in again:
            # Both copies go: the cache's may be where the damage came from.
            self._delete(self.parts.store.buckets.jobs, chunk_key(self.job_id, chunk.index))
            self._delete(self.parts.store.buckets.temp, take_cache_key(chunk.digest))
            self._forget(chunk)
        self._render(again)
        still = self._broken(again)
        if still:
            raise MergeError(
                f"{still[0].message}, and so it was when rendered again",
                chunk=still[0].chunk,
                remedy="render it alone with `darkchannel plan` and `render` to see why",
            )

    def _forget(self, chunk: Chunk) -> None:
        take = self.takes.pop(chunk.index)
        if not take.reused:
            self.rendered -= 1
            self.audio_seconds -= take.seconds

    def _delete(self, bucket: str, key: str) -> None:
        patiently(lambda: self.parts.client.delete(bucket, key), self.check)

    def _broken(self, chunks: tuple[Chunk, ...]) -> list[MergeError]:
        takes = [self.takes[chunk.index] for chunk in chunks]
        return find_broken_takes(self.parts.client, self.parts.store.buckets, chunks, takes)

    def _master(self, metadata: dict[str, Any], directory: Path) -> MasteredBook:
        takes = [self.takes[chunk.index] for chunk in self.plan.chunks]

        def read() -> Iterator[bytes]:
            return read_takes(self.parts.client, self.parts.store.buckets, takes)

        def advance(fraction: float) -> None:
            self.check()
            self.on_progress(replace(self.progress, stage="mastering", fraction=fraction))

        return master(
            self.plan,
            takes,
            read,
            directory,
            title=metadata["chapter_title"],
            preset=get_preset(metadata["options"]["preset"]),
            on_progress=advance,
        )


def _only_chapter(plan: Plan) -> str | None:
    """The title of a text that is one chapter."""
    return plan.chapters[0].title if len(plan.chapters) == 1 else None


def _ssml(input_format: str) -> bool | None:
    return True if input_format == "ssml" else None
