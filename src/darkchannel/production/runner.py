"""Working on jobs that others ask for: those handed over, and those somebody left behind."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Running
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from darkchannel.errors import (
    DarkChannelError,
    JobBusyError,
    JobCancelledError,
    JobNotFoundError,
    LeaseLostError,
    StoreUnavailableError,
    UnavailableError,
)
from darkchannel.models import JobStatus, Take
from darkchannel.production.pipeline import Production
from darkchannel.production.sharing import USUAL_PRIORITY, SharedPool
from darkchannel.storage import JobLease
from darkchannel.storage.record import live_lease

LOG = logging.getLogger(__name__)

RUNNER = "api"
"""What ``runner`` in a job's metadata says when it waits for a runner: jobs of the command line
do not, and are not touched."""

MOST_ACTIVE = 32
"""Jobs worked on at a time; each mostly waits for its chunks."""

SCAN_SECONDS = 10.0
FULL_SCAN_EVERY = 30
"""Scans after which jobs known to have ended are looked at again: another replica may have
resumed one and died."""

_TEND_SECONDS = 2.0


@dataclass(frozen=True)
class JobsParts:
    """The parts a jobs API needs, put together by the composition root.

    Attributes:
        engine: what it was asked for as: its name, or addresses of speech services.
        production: for requests: its client gives up soon.
        runner_production: for runs: its client is patient.
        pool: speech workers for all jobs.
        fetch: gets the engine's weights where they are missing.
    """

    engine: str
    production: Production
    runner_production: Production
    pool: SharedPool
    fetch: Callable[[], object] = lambda: None


@dataclass(eq=False)
class _Held:
    """A job that is worked on here, or waits for room."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    lease: JobLease | None = None

    def keep(self, lease: JobLease) -> None:
        """Remember the lease of the run."""
        self.lease = lease


class JobRunner:
    """Works on jobs in threads of its own; safe to use from any thread.

    Args:
        production: the parts of a run; the pool in it is not used.
        pool: speech workers for all jobs.
        active: jobs worked on at a time; further ones wait.
        scan_seconds: how often the store is searched for jobs nobody works on.
        on_end: told the metadata of each job that ended here, in some thread.
        on_scan: told how many jobs there are by status.
        on_take: told of each take of a run, found or made.
        on_failure: told what a run failed with.
    """

    def __init__(
        self,
        production: Production,
        pool: SharedPool,
        *,
        active: int = MOST_ACTIVE,
        scan_seconds: float = SCAN_SECONDS,
        on_end: Callable[[Mapping[str, Any]], None] = lambda _: None,
        on_scan: Callable[[Mapping[str, int]], None] = lambda _: None,
        on_take: Callable[[Take], None] = lambda _: None,
        on_failure: Callable[[DarkChannelError], None] = lambda _: None,
    ) -> None:
        self._production = production
        self._pool = pool
        self._scan_seconds = scan_seconds
        self._on_end = on_end
        self._on_scan = on_scan
        self._on_take = on_take
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._runs: set[Running[None]] = set()
        self._ended: dict[str, str] = {}
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(active, thread_name_prefix="job")
        self._tender = threading.Thread(target=self._tend, name="job-scan", daemon=True)

    def start(self) -> None:
        """Begin to look for jobs."""
        self._tender.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End all runs within a moment; leases are given back and takes kept."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            runs = set(self._runs)
        wait(runs, timeout=timeout)
        if self._tender.is_alive():
            self._tender.join(timeout)

    def submit(self, job_id: str) -> None:
        """Work on a job as soon as there is room; one that is held already stays so."""
        with self._lock:
            if job_id in self._held or self._stopping.is_set():
                return
            self._held[job_id] = held = _Held()
            self._ended.pop(job_id, None)
            run = self._threads.submit(self._work, job_id, held)
            self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    def cancel(self, job_id: str) -> None:
        """Let a run of a cancelled job end at once rather than at its next heartbeat."""
        with self._lock:
            held = self._held.get(job_id)
        if held is not None:
            held.cancelled.set()

    @property
    def active(self) -> int:
        """Jobs worked on or waiting for room."""
        with self._lock:
            return len(self._held)

    def metadata_of(self, job_id: str) -> Mapping[str, Any] | None:
        """What was last written of a job that is worked on here; None for all others."""
        with self._lock:
            held = self._held.get(job_id)
        return None if held is None or held.lease is None else held.lease.metadata

    def scan(self, *, full: bool = True) -> None:
        """Take on every job that waits for a runner and that nobody works on.

        Args:
            full: look at jobs known to have ended as well.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        jobs = self._production.jobs
        seen: dict[str, str] = {}
        now = jobs.now()
        for job_id in self._production.client.list_folders(jobs.bucket):
            if self._stopping.is_set():
                return
            if not full and job_id in self._ended:
                seen[job_id] = self._ended[job_id]
                continue
            try:
                metadata = jobs.get_job_metadata(job_id)
            except StoreUnavailableError:
                raise
            except DarkChannelError:
                continue  # deleted meanwhile, damaged, or not a job's folder
            seen[job_id] = metadata["status"]
            if owes_webhook(metadata):
                self._on_end(metadata)
            if waits(metadata) and live_lease(metadata, now) is None:
                self.submit(job_id)
        self._ended = {
            job_id: status
            for job_id, status in seen.items()
            if JobStatus(status).final and job_id not in self._held
        }
        self._on_scan(Counter(seen.values()))

    def _tend(self) -> None:
        since, scans = self._scan_seconds, 0
        while not self._stopping.is_set():
            try:
                self._production.keep_store()
                if since >= self._scan_seconds:
                    since = 0.0
                    self.scan(full=scans % FULL_SCAN_EVERY == 0)
                    scans += 1
            except DarkChannelError as error:
                LOG.warning("jobs cannot be looked for: %s", error.message)
            except Exception:
                LOG.exception("jobs cannot be looked for")
            pause = min(_TEND_SECONDS, self._scan_seconds)
            self._stopping.wait(pause)
            since += pause

    def _work(self, job_id: str, held: _Held) -> None:
        try:
            self._run(job_id, held)
        except _StoppingError:
            LOG.info("job %s waits for the next start", job_id)
        except (JobBusyError, JobCancelledError, JobNotFoundError, LeaseLostError) as error:
            LOG.info("%s", error.message)
        except UnavailableError as error:
            LOG.warning("job %s is left for later: %s", job_id, error.message)
            self._on_failure(error)
        except DarkChannelError as error:
            self._on_failure(error)
            LOG.warning("job %s failed: %s", job_id, error.message)
            self._record_failure(job_id, type(error).__name__, error.message, error.chunk)
        except Exception:
            LOG.exception("job %s failed", job_id)
            self._record_failure(
                job_id, "InternalError", "something went wrong that should not", None
            )
        finally:
            with self._lock:
                self._held.pop(job_id, None)
            self._tell_end(job_id)

    def _run(self, job_id: str, held: _Held) -> None:
        metadata = self._production.jobs.get_job_metadata(job_id)
        if not waits(metadata):
            return

        def interrupt() -> None:
            if self._stopping.is_set():
                raise _StoppingError
            if held.cancelled.is_set():
                raise JobCancelledError(f"job {job_id} was cancelled")

        production = replace(
            self._production,
            pool=partial(self._pool.share, metadata.get("priority", USUAL_PRIORITY)),
            interrupt=interrupt,
            on_lease=held.keep,
            on_take=self._on_take,
        )
        if metadata.get("render") == "external":
            production.merge(job_id)
        else:
            production.resume(job_id, use_cache=metadata.get("use_cache", True))

    def _record_failure(self, job_id: str, kind: str, message: str, chunk: int | None) -> None:
        """What a run could not write down itself, such as a plan that cannot be read."""
        jobs = self._production.jobs
        try:
            if JobStatus(jobs.get_job_metadata(job_id)["status"]).final:
                return
            error = {"type": kind, "message": message, "chunk": chunk}
            jobs.update_job_status(job_id, JobStatus.FAILED, error=error)
        except DarkChannelError as failure:
            LOG.warning("the failure of job %s was not written down: %s", job_id, failure)

    def _tell_end(self, job_id: str) -> None:
        try:
            metadata = self._production.jobs.get_job_metadata(job_id)
            if JobStatus(metadata["status"]).final:
                self._on_end(metadata)
        except DarkChannelError as error:
            LOG.info("how job %s ended was not told: %s", job_id, error.message)


def waits(metadata: Mapping[str, Any]) -> bool:
    """Whether a job wants a runner to work on it."""
    if metadata.get("runner") != RUNNER or JobStatus(metadata["status"]).final:
        return False
    return metadata.get("render") != "external" or bool(metadata.get("merge_requested"))


def owes_webhook(metadata: Mapping[str, Any]) -> bool:
    """Whether somebody is still to be told how a job ended."""
    ended = metadata["status"] in {JobStatus.COMPLETED, JobStatus.FAILED}
    return ended and bool(metadata.get("webhook_url")) and metadata.get("webhook") is None


class _StoppingError(Exception):
    """The runner stops; the job is gone on with by the next one."""
