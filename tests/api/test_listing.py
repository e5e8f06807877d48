"""Pages of jobs that are hardly ever asked of the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from darkchannel.api import listing
from darkchannel.api.listing import Listing
from darkchannel.models import JobStatus
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.keys import metadata_key


class Counting(JobManager):
    """Notes whose metadata was read."""

    def __init__(self, client: MinIOClient) -> None:
        super().__init__(client)
        self.read: list[str] = []

    def get_job_metadata(self, job_id: str) -> dict[str, Any]:
        """Note it."""
        self.read.append(job_id)
        return super().get_job_metadata(job_id)


@pytest.fixture
def jobs(own_client: MinIOClient) -> Counting:
    jobs = Counting(own_client)
    for name in ("held", "ended", "waiting"):
        jobs.create_job("Um", "Um.", job_id=name)
    jobs.update_job_status("ended", JobStatus.FAILED)
    return jobs


@pytest.fixture
def pages(jobs: Counting) -> Iterator[Listing]:
    held = {"held": {"job_id": "held", "status": "processing"}}
    pages = Listing(jobs, held.get)
    yield pages
    pages.close()


def shown(pages: Listing, limit: int = 10, cursor: str = "") -> list[tuple[str, str]]:
    """Jobs of a page and their states."""
    return [(job["job_id"], job["status"]) for job in pages.page(limit, cursor)[0]]


def test_only_what_may_have_changed_is_read(jobs: Counting, pages: Listing) -> None:
    """What is worked on here is known; what has ended was read a moment ago."""
    whole = [("ended", "failed"), ("held", "processing"), ("waiting", "pending")]
    assert shown(pages) == whole
    assert sorted(jobs.read) == ["ended", "waiting"]
    assert shown(pages) == whole
    assert sorted(jobs.read) == ["ended", "waiting", "waiting"]


def test_what_has_ended_is_looked_at_again(
    jobs: Counting, pages: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it was resumed through this API, at once; else when some time has passed."""
    shown(pages)
    jobs.update_job_status("ended", JobStatus.PENDING)
    assert ("ended", "failed") in shown(pages)
    pages.forget("ended")
    assert ("ended", "pending") in shown(pages)
    jobs.update_job_status("ended", JobStatus.FAILED)
    shown(pages)
    jobs.update_job_status("ended", JobStatus.PENDING)
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    assert ("ended", "pending") in shown(pages)


def test_a_damaged_job_hides_no_other(jobs: Counting, pages: Listing) -> None:
    """It is left out, as are folders of other things and jobs deleted meanwhile."""
    jobs.client.put(jobs.bucket, metadata_key("broken"), b"{")
    jobs.client.put(jobs.bucket, "not a job/readme.txt", b"hello")
    assert [name for name, _ in shown(pages)] == ["ended", "held", "waiting"]


def test_memory_is_bounded(jobs: Counting, pages: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many ended jobs it begins anew."""
    monkeypatch.setattr(listing, "_MOST_KNOWN", 1)
    jobs.update_job_status("waiting", JobStatus.FAILED)
    for _ in range(3):
        assert len(shown(pages)) == 3
    assert len(pages._ended) == 1
