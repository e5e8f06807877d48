"""Pages of jobs, mostly from memory: each job of a page would be a request to the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from darkchannel.errors import IntegrityError, InvalidKeyError, JobNotFoundError
from darkchannel.models import JobStatus
from darkchannel.storage import JobManager

LOG = logging.getLogger("darkchannel.jobs")
Metadata = Mapping[str, Any]

FRESH_SECONDS = 10.0
"""How long a job that has ended is taken to be as it was: another API may have resumed it."""

_MOST_KNOWN = 2000
_READS_AHEAD = 8


class Listing:
    """Pages of jobs; safe to use from any thread.

    Args:
        jobs: of the store.
        held: what this process last wrote of a job that it works on; None for all others.
    """

    def __init__(self, jobs: JobManager, held: Callable[[str], Metadata | None]) -> None:
        self._jobs = jobs
        self._held = held
        self._ended: dict[str, tuple[float, Metadata]] = {}
        self._lock = threading.Lock()
        self._reads = ThreadPoolExecutor(_READS_AHEAD, thread_name_prefix="page")

    def page(self, limit: int, cursor: str) -> tuple[list[Metadata], str | None]:
        """Jobs in order of their ids, from after a cursor, and the next cursor.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        names = self._jobs.client.list_folders(self._jobs.bucket)
        later = sorted(name for name in names if name > cursor)
        wanted = later[:limit]
        known = {name: self._held(name) or self._remembered(name) for name in wanted}
        unknown = [name for name, job in known.items() if job is None]
        known.update(zip(unknown, self._reads.map(self._read, unknown), strict=True))
        found = [job for job in known.values() if job is not None]
        return found, wanted[-1] if len(later) > limit else None

    def forget(self, job_id: str) -> None:
        """Look at a job again that may be going on."""
        with self._lock:
            self._ended.pop(job_id, None)

    def close(self) -> None:
        """End the threads that read."""
        self._reads.shutdown(wait=False, cancel_futures=True)

    def _remembered(self, job_id: str) -> Metadata | None:
        with self._lock:
            read_at, job = self._ended.get(job_id, (0.0, None))
        return job if time.monotonic() - read_at < FRESH_SECONDS else None

    def _read(self, job_id: str) -> Metadata | None:
        read_at = time.monotonic()
        try:
            job = self._jobs.get_job_metadata(job_id)
        except (JobNotFoundError, InvalidKeyError):
            return None  # deleted meanwhile, or not one of our folders
        except IntegrityError as error:
            # One damaged job must not hide the others.
            LOG.warning("job %s is left out: %s", job_id, error.message)
            return None
        if JobStatus(job["status"]).final:
            with self._lock:
                if len(self._ended) >= _MOST_KNOWN:
                    self._ended.clear()
                self._ended[job_id] = read_at, job
        return job
