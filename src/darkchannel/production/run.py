"""One run of a job under its lease: render, check, master, publish."""

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
    LeaseLostError,
    MergeError,
    NotFoundError,
)
from darkchannel.models import Chunk, JobStatus, Plan, Take
from darkchannel.production.cloned import disclosure
from darkchannel.production.gate import find_broken_takes, read_takes
from darkchannel.production.mastering import MasteringTurns
from darkchannel.production.outside import find_takes, refusal, require_all
from darkchannel.production.patience import patiently
from darkchannel.production.pool import Pool
from darkchannel.production.progress import OnProgress, Progress, ignore_progress
from darkchannel.production.publishing import FinishedBook, place_files, publish
from darkchannel.production.rendering import render_takes
from darkchannel.production.worker import EngineFactory, TakeTask
from darkchannel.storage import JobLease, JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key, chunks_prefix, take_cache_key

_STORE_CARE_SECONDS = 2.0
_TURN_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class RunParts:
    """What runs are made with, put together by the composition root.

    Attributes:
        store: where everything lies; also told to workers.
        client: for this process.
        jobs: state of jobs.
        make_engine: builds the engine here and in workers.
        pool: where chunks are rendered.
        keep_store: called now and then during a run; brings an embedded store back that died.
        interrupt: called a few times a second during a run; raises to end it.
        mastering: lets so many books be mastered at a time.
        on_lease: told when a run has the job to itself.
        on_take: told of each take of a run, found or made.
    """

    store: StoreConfig
    client: MinIOClient
    jobs: JobManager
    make_engine: EngineFactory
    pool: Pool
    keep_store: Callable[[], object] = lambda: None
    interrupt: Callable[[], object] = lambda: None
    mastering: MasteringTurns = field(default_factory=MasteringTurns)
    on_lease: Callable[[JobLease], object] = lambda _: None
    on_take: Callable[[Take], object] = lambda _: None


@dataclass
class JobRun:
    """One run of a job under its lease."""

    parts: RunParts
    lease: JobLease
    job_id: str
    plan: Plan
    use_cache: bool = True
    on_progress: OnProgress = ignore_progress
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

    def produce(
        self, metadata: dict[str, Any], output: Path | None = None, *, render: bool = True
    ) -> FinishedBook:
        """Render, check, master and publish; the job's metadata says how it went.

        Args:
            metadata: of the job, as the run found it.
            output: where to put the MP3.
            render: whether missing and broken takes are made here; otherwise they are refused.

        Raises:
            MergeError: a take is missing or broken, and was not to be made here.
            DarkChannelError: as :meth:`.pipeline.Production.render`.
        """
        try:
            self._update(status=JobStatus.PROCESSING, chunks_total=len(self.plan.chunks))
            if render:
                self._render(self.plan.chunks)
                self._pass_gate()
            else:
                self._adopt()
            self._update(status=JobStatus.MERGING, chunks_completed=len(self.takes))
            with tempfile.TemporaryDirectory(prefix="darkchannel-") as directory:
                with self._turn_to_master():
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
        self.parts.interrupt()
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

        def task(chunk: Chunk, again: bool) -> TakeTask:
            return TakeTask(
                job_id=self.job_id,
                chunk=chunk,
                store=self.parts.store,
                make_engine=self.parts.make_engine,
                may_exist=again or chunk_key(self.job_id, chunk.index) in existing,
                use_cache=self.use_cache,
            )

        self.on_progress(self.progress)
        # The longest first: then the last are short, and workers finish together.
        ordered = sorted(chunks, key=lambda chunk: chunk.tokens / chunk.speed, reverse=True)
        render_takes(ordered, task, self.parts.pool, on_take=self._took, check=self.check)

    def _took(self, take: Take) -> None:
        self.takes[take.index] = take
        if not take.reused:
            self.rendered += 1
            self.audio_seconds += take.seconds
        self.parts.on_take(take)
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

    def _adopt(self) -> None:
        """Take what others rendered, if it is all there and whole."""
        self.takes = find_takes(
            self.parts.client, self.parts.store.buckets.jobs, self.job_id, self.plan.chunks
        )
        require_all(self.plan.chunks, self.takes)
        broken = self._broken(self.plan.chunks)
        if broken:
            raise refusal([error.chunk or 0 for error in broken], broken[0].message)

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

    @contextlib.contextmanager
    def _turn_to_master(self) -> Iterator[None]:
        turn = self.parts.mastering.of(sum(take.seconds for take in self.takes.values()))
        while not turn.acquire(timeout=_TURN_SECONDS):
            self.check()
        try:
            yield
        finally:
            turn.release()

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
            comment=disclosure(self.plan),
            preset=get_preset(metadata["options"]["preset"]),
            on_progress=advance,
        )
