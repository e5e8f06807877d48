"""Jobs and their state: created once, changed by compare-and-swap, worked on under a lease."""

from __future__ import annotations

import hashlib
import heapq
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from darkchannel.errors import (
    InputError,
    IntegrityError,
    InvalidKeyError,
    JobBusyError,
    JobConflictError,
    JobNotFoundError,
    NotFoundError,
    PreconditionError,
)
from darkchannel.models import JobStatus, Lease
from darkchannel.storage import keys, record
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.files import JobFiles
from darkchannel.storage.lease import JobLease
from darkchannel.storage.owner import new_owner
from darkchannel.storage.state import Document, StateStore, Version, timestamp

logger = logging.getLogger(__name__)

MIN_TTL, MAX_TTL = 1.0, 3600.0


class JobManager:
    """The jobs of one store.

    Safe to share between threads and to pickle.  All methods raise InvalidKeyError for a job id
    that is not allowed, JobNotFoundError for one that does not exist, and the client's errors
    where the store fails.

    Args:
        client: to the store; None makes one from the environment.
        clock: POSIX seconds, for tests; by default the store's own clock, so that machines
            whose clocks differ agree on when a lease has expired.
    """

    def __init__(
        self, client: MinIOClient | None = None, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.client = MinIOClient() if client is None else client
        self.bucket = self.client.config.buckets.jobs
        self._state = StateStore(self.client, self.bucket, record.check, clock)
        self._files = JobFiles(self.client, self.bucket)

    def now(self) -> float:
        """POSIX seconds by the clock that leases are judged with."""
        return self._state.now()

    def create_job(
        self,
        chapter_title: str,
        input_text: str | bytes,
        *,
        job_id: str | None = None,
        input_format: str = "txt",
        **fields: Any,
    ) -> str:
        """Create a job, or find the one that was created with the same id and input.

        The input is written first and the metadata last, both only if absent: a job exists from
        the moment its metadata does, and then it is whole.

        Args:
            chapter_title: at most 300 characters.
            input_text: what is to be read, text or the bytes of a file.
            job_id: the caller's own; by default a random UUID.
            input_format: extension of the input's object: ``txt``, ``ssml``, ...
            **fields: further metadata: ``engine``, ``voice``, ``language``, ...

        Returns:
            The job's id.

        Raises:
            JobConflictError: there is a job with that id and another input.
            JobBusyError: a job with that id is just being deleted.
            InputError: title, text or fields cannot be kept.
        """
        job_id = keys.check_job_id(str(uuid.uuid4()) if job_id is None else job_id)
        data = _encoded(input_text)
        document = record.new_record(job_id, chapter_title, data, input_format, fields)
        existing = self._find(job_id)
        if existing is not None and record.is_deleted(existing.document):
            self.delete(job_id)
            if (existing := self._find(job_id)) is not None:
                raise JobBusyError(
                    f"job {job_id} is still being deleted",
                    remedy="try again in a minute, or choose another job id",
                )
        if existing is not None:
            return _with_same_input(existing.document, document)
        key = keys.input_key(job_id, input_format)
        written = self._files.write_once(key, data)
        if not written and self._files.read(key) != data:
            raise _other_input(job_id)
        try:
            self._state.create(keys.metadata_key(job_id), document)
        except PreconditionError:
            winner = self._load(job_id).document
            if written and winner["input_format"] != input_format:
                self.client.delete(self.bucket, key)
            return _with_same_input(winner, document)
        return job_id

    def get_job_metadata(self, job_id: str) -> Document:
        """The job's metadata, as design section 3 lists it.

        Raises:
            IntegrityError: it cannot be read as what it should be.
        """
        return self._load(job_id).document

    def update_job_status(self, job_id: str, status: str, **fields: Any) -> Document:
        """Move a job on and set fields.

        For callers without a lease.  While somebody holds one, only a cancellation is let
        through: the holder writes through :meth:`JobLease.update`.

        Args:
            job_id: the job.
            status: one of :class:`darkchannel.models.JobStatus`.
            **fields: values to set.

        Returns:
            The metadata as written.

        Raises:
            InputError: an unknown status, or a field that cannot be set.
            JobConflictError: no way leads from the present status to that one.
            JobBusyError: another process works on the job.
        """
        wanted = record.parse_status(status)
        record.check_fields(fields)

        def change(document: Document, now: float) -> Document:
            record.require_present(document)
            if wanted is not JobStatus.CANCELLED:
                record.require_free(document, now)
            moved = record.with_status(document, wanted, timestamp(now))
            return record.with_fields(moved, fields)

        return self._change(job_id, change)

    def cancel(self, job_id: str) -> Document:
        """Cancel a job; whoever works on it notices at its next heartbeat and stops.

        Raises:
            JobConflictError: it is completed already.
        """

        def change(document: Document, now: float) -> Document | None:
            record.require_present(document)
            if document["status"] == JobStatus.CANCELLED:
                return None
            return record.with_status(document, JobStatus.CANCELLED, timestamp(now))

        return self._change(job_id, change)

    def acquire(self, job_id: str, *, owner: str | None = None, ttl: float = 30.0) -> JobLease:
        """Take the lease on a job.

        Args:
            job_id: the job.
            owner: name of the holder; by default one that tells other processes of this machine
                whether this one is still alive.
            ttl: seconds the lease lasts without a heartbeat, 1 to 3600.

        Raises:
            JobBusyError: somebody else holds it.
            InputError: owner or ttl cannot be used.
        """
        if not MIN_TTL <= ttl <= MAX_TTL:
            raise InputError(f"a lease of {ttl} seconds: expected {MIN_TTL:g} to {MAX_TTL:g}")
        holder = new_owner() if owner is None else owner
        if not 1 <= len(holder) <= 300:
            raise InputError("the owner of a lease needs a name of 1 to 300 characters")

        def take(document: Document, now: float) -> Document:
            record.require_present(document)
            record.require_free(document, now)
            return {
                **document,
                "lease": {"owner": holder, "expires_at": now + ttl + self._state.clock_step},
                "fencing": document["fencing"] + 1,
            }

        document = self._change(job_id, take)
        lease = Lease(holder, document["lease"]["expires_at"], document["fencing"])
        return JobLease(self._state, keys.metadata_key(job_id), lease, ttl, document)

    def read_input(self, job_id: str) -> bytes:
        """What was asked for, byte for byte.

        Raises:
            IntegrityError: it is missing or has been changed since.
        """
        document = self._load(job_id).document
        key = keys.input_key(job_id, document["input_format"])
        return self._files.read_unchanged(key, document["input_sha256"])

    def write_plan(self, job_id: str, data: bytes) -> None:
        """Write the job's plan; writing the same again does nothing.

        Raises:
            JobConflictError: the job has another plan.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        self._require_plan(self._load(job_id).document, sha256)
        # What lies there otherwise was left by a run killed before the metadata knew of it.
        self._files.write(keys.plan_key(job_id), data)

        def change(document: Document, _now: float) -> Document | None:
            record.require_present(document)
            self._require_plan(document, sha256)
            known = document.get("plan_sha256") == sha256
            return None if known else {**document, "plan_sha256": sha256}

        self._change(job_id, change)

    def read_plan(self, job_id: str) -> bytes:
        """The job's plan, byte for byte.

        Raises:
            NotFoundError: it has none yet.
            IntegrityError: it is missing or has been changed since it was written.
        """
        sha256 = self._load(job_id).document.get("plan_sha256")
        if sha256 is None:
            raise NotFoundError(f"job {job_id} has no plan yet")
        return self._files.read_unchanged(keys.plan_key(job_id), sha256)

    def read_record(self, job_id: str) -> Document:
        """The job's metadata as it lies there, the mark of a job being deleted included.

        Raises:
            IntegrityError: it is not a JSON object.
        """
        version = self._find(job_id)
        if version is None:
            raise record.not_found(job_id)
        return version.document

    def abandon(self, job_id: str, is_abandoned: Callable[[Document], bool]) -> bool:
        """Mark a job as failed if nobody works on it any more; it can be resumed.

        Args:
            job_id: the job.
            is_abandoned: judges the metadata as it is at the moment of writing.

        Returns:
            Whether it was so.
        """
        error = {
            "type": "Abandoned",
            "message": "the job was left unfinished and nobody works on it",
            "chunk": None,
        }
        done = False

        def change(document: Document, now: float) -> Document | None:
            nonlocal done
            done = not record.is_deleted(document) and is_abandoned(document)
            if not done:
                return None
            failed = record.with_status(document, JobStatus.FAILED, timestamp(now))
            return {**failed, "error": error, "lease": None}

        try:
            self._change(job_id, change)
        except JobNotFoundError:
            return False
        return done

    def list_jobs(self, *, newest: int | None = None) -> Iterator[Document]:
        """Metadata of all jobs, read one by one.

        Args:
            newest: how many of the newest to give, newest first, holding no more than these in
                memory; None gives all in order of their ids, holding one.
        """
        if newest is None:
            return self._all_jobs()
        return iter(heapq.nlargest(newest, self._all_jobs(), key=lambda job: job["created_at"]))

    def _all_jobs(self) -> Iterator[Document]:
        for name in self.client.list_folders(self.bucket):
            try:
                yield self._load(name).document
            except (JobNotFoundError, InvalidKeyError):
                continue  # deleted meanwhile, or not one of our folders
            except IntegrityError as error:
                # One damaged job must not hide the others.
                logger.warning("job %s is left out: %s", name, error)

    def delete(self, job_id: str) -> None:
        """Delete a job with its takes and files; what was published stays.

        The metadata becomes a mark first, so that no writer is left who could bring the job
        back, and goes last.  While a cancelled worker may still be running the mark stays:
        ``cleanup`` or a second call removes it (and what that worker left) when its lease has
        expired.

        Raises:
            JobBusyError: somebody works on it; cancel it first.
        """
        key = keys.metadata_key(job_id)

        def bury(document: Document, now: float) -> Document | None:
            if record.is_deleted(document):
                return None
            if document["status"] != JobStatus.CANCELLED:
                record.require_free(document, now)
            return record.tombstone(document, now)

        try:
            grave = self._state.change(key, bury)
        except IntegrityError:
            # Damaged: nobody can be working on it, since every write begins with reading it.
            self._delete_objects(job_id)
            self.client.delete(self.bucket, key)
            return
        except NotFoundError as error:
            # Created half and never finished, or deleted half: no metadata, but perhaps more.
            if self._delete_objects(job_id) == 0:
                raise record.not_found(job_id) from error
            return
        self._delete_objects(job_id)
        if grave["deleting_until"] <= self.now():
            self.client.delete(self.bucket, key)

    def _delete_objects(self, job_id: str) -> int:
        spared = keys.metadata_key(job_id)
        found = self.client.list(self.bucket, keys.job_prefix(job_id))
        return self.client.delete_many(
            self.bucket, (info.key for info in found if info.key != spared)
        )

    def _find(self, job_id: str) -> Version | None:
        try:
            return self._state.read(keys.metadata_key(job_id))
        except NotFoundError:
            return None

    def _load(self, job_id: str) -> Version:
        version = self._find(job_id)
        if version is None:
            raise record.not_found(job_id)
        record.require_present(version.document)
        return version

    def _change(
        self, job_id: str, change: Callable[[Document, float], Document | None]
    ) -> Document:
        try:
            return self._state.change(keys.metadata_key(job_id), change)
        except NotFoundError as error:
            raise record.not_found(job_id) from error

    def _require_plan(self, document: Document, sha256: str) -> None:
        if document.get("plan_sha256", sha256) != sha256:
            job_id = document["job_id"]
            raise JobConflictError(
                f"job {job_id} was planned with other settings or another engine",
                remedy="run it with the settings it began with, or as a new job",
            )


def _encoded(input_text: str | bytes) -> bytes:
    if isinstance(input_text, bytes):
        return input_text
    try:
        return input_text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the text holds half a surrogate pair: it is not Unicode") from error


def _other_input(job_id: str) -> JobConflictError:
    return JobConflictError(
        f"job {job_id} exists already with another input",
        remedy=f"choose another job id, or delete it: darkchannel jobs delete {job_id}",
    )


def _with_same_input(document: Document, wanted: Document) -> str:
    job_id: str = wanted["job_id"]
    record.require_present(document)
    if any(document[name] != wanted[name] for name in ("input_sha256", "input_format")):
        raise _other_input(job_id)
    return job_id
