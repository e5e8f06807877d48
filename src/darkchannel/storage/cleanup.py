"""Tidying up: expired temporary objects, abandoned jobs, old failures, half-made uploads.

Safe beside running jobs and beside another cleanup: whatever is found is looked at again under
compare-and-swap before its state changes, and what is gone already is no error.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field

from darkchannel.errors import (
    IntegrityError,
    InvalidKeyError,
    JobBusyError,
    JobNotFoundError,
    NotFoundError,
)
from darkchannel.models import JobStatus
from darkchannel.storage import keys, record
from darkchannel.storage.bucket_verbs import DELETE_BATCH
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.jobs import JobManager
from darkchannel.storage.objects import ObjectInfo
from darkchannel.storage.state import Document, seconds_of

KEEP_ENDED_JOBS = dt.timedelta(days=30)
"""Failed and cancelled jobs can be resumed for so long."""

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What was found and, unless it was a dry run, tidied up.

    Attributes:
        temp_objects: expired objects deleted from the temporary bucket.
        jobs_abandoned: unfinished jobs nobody works on, marked as failed; their takes are kept.
        jobs_deleted: jobs failed or cancelled long ago, or left half created or half deleted.
        uploads_aborted: multipart uploads begun and left.
        bytes_freed: size of the objects deleted.
        sample: the first keys and job ids concerned.
        dry_run: nothing was changed.
    """

    temp_objects: int = 0
    jobs_abandoned: int = 0
    jobs_deleted: int = 0
    uploads_aborted: int = 0
    bytes_freed: int = 0
    sample: tuple[str, ...] = ()
    dry_run: bool = False

    def __str__(self) -> str:
        return (
            f"{self.temp_objects} temporary objects, {self.jobs_abandoned} abandoned jobs, "
            f"{self.jobs_deleted} old jobs, {self.uploads_aborted} unfinished uploads, "
            f"{self.bytes_freed / 1e6:.1f} MB"
        )


def cleanup(
    client: MinIOClient,
    jobs: JobManager,
    *,
    older_than: dt.timedelta = dt.timedelta(hours=24),
    dry_run: bool = False,
    now: dt.datetime | None = None,
) -> CleanupReport:
    """Tidy up once.

    Args:
        client: to the store.
        jobs: its jobs.
        older_than: age, exact and by the store's clock, from which temporary objects go and
            jobs nobody works on count as abandoned.
        dry_run: look and count only.
        now: the moment to reckon from; by default the store's.

    Returns:
        What was tidied up.
    """
    moment = jobs.now() if now is None else now.timestamp()
    run = _Cleanup(client, jobs, moment, older_than.total_seconds(), dry_run)
    run.temporary_objects()
    run.all_jobs()
    run.uploads()
    return run.report()


@dataclass
class _Cleanup:
    """One run, with what it has counted so far."""

    client: MinIOClient
    jobs: JobManager
    now: float
    age: float
    dry_run: bool
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("temp_objects", "jobs_abandoned", "jobs_deleted", "uploads_aborted", "bytes_freed"), 0
        )
    )
    sample: list[str] = field(default_factory=list)

    def report(self) -> CleanupReport:
        """What was counted."""
        return CleanupReport(**self.counts, sample=tuple(self.sample), dry_run=self.dry_run)

    def temporary_objects(self) -> None:
        """Delete what lies in the temporary bucket for longer than it may."""
        bucket = self.client.config.buckets.temp
        found = filter(self._expired, self.client.list(bucket))
        try:
            for batch in iter(lambda: list(itertools.islice(found, DELETE_BATCH)), []):
                if not self.dry_run:
                    self.client.delete_many(bucket, [info.key for info in batch])
                for info in batch:
                    self.counts["bytes_freed"] += info.size
                    self._count("temp_objects", info.key)
        except NotFoundError:
            return  # the bucket was never made: nothing to tidy up

    def all_jobs(self) -> None:
        """Look at every folder of the jobs bucket."""
        try:
            for job_id in self.client.list_folders(self.jobs.bucket):
                self._job(job_id)
        except NotFoundError:
            return

    def uploads(self) -> None:
        """Abort multipart uploads that nobody will complete."""
        for bucket in self.client.config.buckets:
            try:
                found = list(self.client.incomplete_uploads(bucket))
            except NotFoundError:
                continue
            for upload in found:
                if upload.initiated.timestamp() > self.now - self.age:
                    continue
                if not self.dry_run:
                    self.client.abort_upload(bucket, upload)
                self._count("uploads_aborted", upload.key)

    def _job(self, job_id: str) -> None:
        try:
            document = self.jobs.read_record(job_id)
        except InvalidKeyError:
            return  # a folder that is none of ours
        except IntegrityError:
            return  # damaged metadata: a person has to look at it, and list_jobs names it
        except JobNotFoundError:
            self._orphan(job_id)
            return
        if record.is_deleted(document):
            if document["deleting_until"] <= self.now:
                self._remove(job_id)
            return
        status = JobStatus(document["status"])
        if not status.final and self._abandoned(document):
            self._give_up(job_id)
        elif status in {JobStatus.FAILED, JobStatus.CANCELLED}:
            ended = seconds_of(document["updated_at"])
            keep = max(KEEP_ENDED_JOBS.total_seconds(), self.age)
            if ended <= self.now - keep and record.live_lease(document, self.now) is None:
                self._remove(job_id)

    def _abandoned(self, document: Document) -> bool:
        return (
            not JobStatus(document["status"]).final
            and seconds_of(document["updated_at"]) <= self.now - self.age
            and record.live_lease(document, self.now) is None
        )

    def _give_up(self, job_id: str) -> None:
        if self.dry_run or self.jobs.abandon(job_id, self._abandoned):
            self._count("jobs_abandoned", job_id)

    def _orphan(self, job_id: str) -> None:
        # A creation that died before the metadata, or a deletion that died after it.  Younger
        # ones may be a creation under way.
        found = self.client.list(self.jobs.bucket, keys.job_prefix(job_id))
        # None at all: SeaweedFS goes on listing a folder for a while when it has become empty.
        if {self._expired(info) for info in found} == {True}:
            self._remove(job_id)

    def _remove(self, job_id: str) -> None:
        size = sum(
            info.size for info in self.client.list(self.jobs.bucket, keys.job_prefix(job_id))
        )
        if not self.dry_run:
            try:
                self.jobs.delete(job_id)
            except (JobBusyError, JobNotFoundError):
                return  # resumed or deleted by somebody else since
        self.counts["bytes_freed"] += size
        self._count("jobs_deleted", job_id)

    def _expired(self, info: ObjectInfo) -> bool:
        return info.last_modified.timestamp() <= self.now - self.age

    def _count(self, name: str, key: str) -> None:
        self.counts[name] += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(key)
