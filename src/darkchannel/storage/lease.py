"""The right to work on a job: held with a heartbeat, given back with the last status."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from darkchannel.errors import DarkChannelError, LeaseLostError, NotFoundError
from darkchannel.models import JobStatus, Lease
from darkchannel.storage import record
from darkchannel.storage.state import Document, StateStore, encoded, timestamp

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL = 1.0
"""Seconds between two writes of progress, at least (design: bookkeeping stays cheap)."""


class JobLease:
    """A lease on one job; made by :meth:`JobManager.acquire`.

    A daemon thread renews it every third of its life and writes the progress reported, at most
    once a second.  Every write is made only while the lease is still ours.  The write of a last
    status (completed, failed, cancelled) gives the job back as well, so that nothing can go wrong
    between the two.  Use it as a context manager: leaving gives back what was not finished.

    Args:
        state: where job metadata lies.
        key: of this job's metadata.
        lease: as taken.
        ttl: seconds it lasts without renewal.
        document: the metadata when it was taken.
    """

    def __init__(
        self, state: StateStore, key: str, lease: Lease, ttl: float, document: Document
    ) -> None:
        self._state = state
        self._key = key
        self._lease = lease
        self._ttl = ttl
        self._metadata = document
        # A job taken over as cancelled is being resumed: only a later cancellation counts.
        self._resuming = document["status"] == JobStatus.CANCELLED
        self._cancelled = False
        self._loss: LeaseLostError | None = None
        self._released = False
        self._pending: dict[str, Any] = {}
        self._pending_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._last_attempt = time.monotonic()
        self._thread = threading.Thread(
            target=self._beat, name=f"lease-{document['job_id']}", daemon=True
        )
        self._thread.start()

    @property
    def job_id(self) -> str:
        """The job."""
        return str(self._metadata["job_id"])

    @property
    def owner(self) -> str:
        """Who holds the lease."""
        return self._lease.owner

    @property
    def fencing(self) -> int:
        """Number of this tenure; grows each time the job changes hands."""
        return self._lease.fencing

    @property
    def metadata(self) -> Document:
        """The job's metadata as last read or written here."""
        return dict(self._metadata)

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the job since; noticed at each write and heartbeat."""
        return self._cancelled

    @property
    def lost(self) -> bool:
        """Whether the job is known to have been taken over or deleted."""
        return self._loss is not None

    def check(self) -> None:
        """Raise what a heartbeat or a write has noticed; touches no network.

        Raises:
            LeaseLostError: the job was taken over or deleted.
            JobCancelledError: somebody cancelled it.
        """
        self._require_not_lost()
        if self._cancelled:
            raise record.cancelled(self.job_id)

    def update(self, **fields: Any) -> Document:
        """Change the job's metadata now, together with progress not yet written.

        Args:
            **fields: values to set; ``status`` moves the job on, and a last one gives it back.

        Returns:
            The metadata as written.

        Raises:
            LeaseLostError: another owner took the job over; nothing was written.
            JobCancelledError: the status was to change, but somebody cancelled the job.
            JobConflictError: no way leads to that status.
            InputError: a field cannot be set or kept.
            StoreUnavailableError: no answer.
        """
        status = record.parse_status(fields.pop("status")) if "status" in fields else None
        record.check_fields(fields)
        return self._write(fields, status, keep=status is None or not status.final)

    def progress(self, chunks_completed: int, **fields: Any) -> None:
        """Report progress; written within a second or so, the last report always.

        Returns at once and touches no network.

        Raises:
            LeaseLostError: another owner is known to have taken the job over.
            InputError: a field cannot be set or kept.
        """
        record.check_fields(fields)
        encoded(fields)  # what cannot be written must not stop the heart later
        self._require_not_lost()
        with self._pending_lock:
            first = not self._pending
            self._pending.update(fields, chunks_completed=chunks_completed)
        if first:
            self._wake.set()

    def flush(self) -> None:
        """Write progress that has not been written yet.

        Raises:
            LeaseLostError, StoreUnavailableError: as :meth:`update`.
        """
        with self._write_lock:  # the heartbeat may be writing it at this moment, and may fail
            done = not self._pending
        if not done:
            self._write({}, None)

    def release(self) -> None:
        """Write what is left of the progress and give the job back; a second call does nothing.

        A lease that was lost needs no giving back.

        Raises:
            StoreUnavailableError: no answer; the lease will expire by itself.
        """
        if self._released:
            return
        self._let_go()
        if not self.lost:
            try:
                self._write({}, None, keep=False, outages=1)
            except LeaseLostError:
                logger.warning("job %s was taken over before it was given back", self.job_id)

    def _let_go(self) -> None:
        self._released = True
        self._stop.set()
        self._wake.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except DarkChannelError as failure:
            if error is None:
                raise
            error.add_note(f"and the lease could not be given back: {failure}")

    def _require_not_lost(self) -> None:
        if self._loss is not None:
            raise LeaseLostError(self._loss.message, remedy=self._loss.remedy)

    def _write(
        self,
        fields: Mapping[str, Any],
        status: JobStatus | None,
        *,
        keep: bool = True,
        outages: int = 4,
    ) -> Document:
        with self._write_lock:
            self._require_not_lost()
            if self._released and (keep or fields or status):
                raise LeaseLostError(f"the lease on job {self.job_id} was given back")
            with self._pending_lock:
                pending, self._pending = self._pending, {}
            try:
                document = self._state.change(
                    self._key,
                    lambda document, now: self._changed(
                        document, now, {**pending, **fields}, status, keep
                    ),
                    outages=outages,
                )
            except LeaseLostError as error:
                self._loss = error
                raise
            except NotFoundError as error:
                self._loss = _deleted(self.job_id)
                raise self._loss from error
            except BaseException:  # Ctrl-C included: giving back still has to write it
                with self._pending_lock:
                    self._pending = {**pending, **self._pending}
                raise
            finally:
                self._last_attempt = time.monotonic()
            self._notice(document)
            if not keep:
                self._let_go()
            return dict(document)

    def _changed(
        self,
        document: Document,
        now: float,
        fields: Mapping[str, Any],
        status: JobStatus | None,
        keep: bool,
    ) -> Document:
        record.require_held(document, self._lease)
        if status is not None:
            if status is not JobStatus.CANCELLED and not self._resuming:
                record.require_not_cancelled(document)
            document = record.with_status(document, status, timestamp(now))
        document = record.with_fields(document, fields)
        if not keep:
            return {**document, "lease": None}
        expires_at = now + self._ttl + self._state.clock_step
        return {**document, "lease": {"owner": self.owner, "expires_at": expires_at}}

    def _notice(self, document: Document) -> None:
        self._metadata = document
        if document["status"] != JobStatus.CANCELLED:
            self._resuming = False
        elif not self._resuming:
            self._cancelled = True

    def _beat(self) -> None:
        failing = False
        while not self._stop.is_set():
            interval = self._ttl / 3
            if self._pending or failing:
                interval = min(interval, PROGRESS_INTERVAL)
            wait = self._last_attempt + interval - time.monotonic()
            if wait > 0:
                self._wake.wait(wait)
                self._wake.clear()
                continue
            try:
                self._write({}, None, outages=1)
                failing = False
            except LeaseLostError:
                if not self._released:
                    logger.warning("job %s was taken over by another process", self.job_id)
                return
            except DarkChannelError as error:
                # Nothing is lost: what was pending stays so and is tried again, and whoever
                # needs it written now calls flush() or update() and is told.
                if not failing:
                    logger.warning("the lease on job %s was not renewed: %s", self.job_id, error)
                failing = True


def _deleted(job_id: str) -> LeaseLostError:
    # A write under way can bring a bucket back that was just deleted: on MinIO it is there again,
    # and holds nothing but what was written.
    return LeaseLostError(
        f"job {job_id} was deleted while it was being worked on",
        remedy="render the text again, which begins it anew; if nobody deleted the job, somebody "
        "deleted its bucket: `darkchannel store check` tells what is missing",
    )
