"""Tidying up."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import JobNotFoundError
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.cleanup import CleanupReport, cleanup
from darkchannel.storage.keys import chunk_key, input_key, take_cache_key
from tests.servers import own_buckets

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


class Clock:
    """A clock that can be set."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def store(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(own_buckets(store_config))
    client.ensure_buckets()
    return client


@pytest.fixture
def client(store: MinIOClient) -> Iterator[MinIOClient]:
    """A store with nothing in it."""
    yield store
    for bucket in store.config.buckets:
        store.delete_many(bucket, [info.key for info in store.list(bucket)])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(client: MinIOClient, clock: Clock) -> JobManager:
    return JobManager(client, clock=clock)


def at(clock: Clock, later: dt.timedelta) -> dt.datetime:
    """A moment by the clock's reckoning."""
    return dt.datetime.fromtimestamp(clock.now, dt.UTC) + later


def test_temporary_objects_go_when_they_are_old_enough(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """Exactly at the age given, counted from when the store says they were written."""
    temp = client.config.buckets.temp
    key = take_cache_key("0" * 64)
    client.put(temp, key, b"12345")
    (info,) = client.list(temp, key)
    written = info.last_modified
    second = dt.timedelta(seconds=1)
    assert cleanup(client, jobs, now=written + DAY - second).temp_objects == 0
    report = cleanup(client, jobs, now=written + DAY)
    assert (report.temp_objects, report.bytes_freed, report.sample) == (1, 5, (key,))
    assert not client.exists(temp, key)
    assert cleanup(client, jobs, now=written + DAY) == CleanupReport()


def test_objects_elsewhere_stay_however_old(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """Published books and reference voices are nobody's rubbish."""
    for bucket in (client.config.buckets.output, client.config.buckets.refs):
        client.put(bucket, "a", b"x")
    cleanup(client, jobs, now=at(clock, 1000 * DAY))
    assert client.exists(client.config.buckets.output, "a")
    assert client.exists(client.config.buckets.refs, "a")


@pytest.mark.parametrize("status", ["pending", "processing", "merging"])
def test_jobs_nobody_works_on_are_marked_as_failed(
    client: MinIOClient, jobs: JobManager, clock: Clock, status: str
) -> None:
    """They keep their takes, say why, and can be resumed."""
    jobs.create_job("T", "x", job_id="left")
    jobs.update_job_status("left", status)
    client.put(jobs.bucket, chunk_key("left", 1), b"take")
    assert cleanup(client, jobs, now=at(clock, DAY - HOUR)).jobs_abandoned == 0
    clock.now += 86_400
    report = cleanup(client, jobs)
    assert (report.jobs_abandoned, report.jobs_deleted, report.sample) == (1, 0, ("left",))
    metadata = jobs.get_job_metadata("left")
    assert (metadata["status"], metadata["error"]["type"]) == ("failed", "Abandoned")
    assert client.exists(jobs.bucket, chunk_key("left", 1))
    jobs.update_job_status("left", "processing")


def test_jobs_under_a_lease_are_left_alone(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """However long a job takes, while its heart beats it is not abandoned."""
    jobs.create_job("T", "x", job_id="busy")
    with jobs.acquire("busy", ttl=3600) as lease:
        lease.update(status="processing")
        report = cleanup(client, jobs, older_than=dt.timedelta(0), now=at(clock, HOUR / 2))
        assert report.jobs_abandoned == 0
        report = cleanup(client, jobs, older_than=dt.timedelta(0), now=at(clock, 2 * HOUR))
        assert report.jobs_abandoned == 1


@pytest.mark.parametrize(("status", "deleted"), [("failed", 1), ("cancelled", 1), ("completed", 0)])
def test_jobs_that_ended_badly_go_after_thirty_days(
    client: MinIOClient, jobs: JobManager, clock: Clock, status: str, deleted: int
) -> None:
    """Until then they can be resumed; finished ones stay."""
    jobs.create_job("T", "x", job_id="old")
    jobs.update_job_status("old", status)
    client.put(jobs.bucket, chunk_key("old", 1), b"take")
    assert cleanup(client, jobs, now=at(clock, 30 * DAY - HOUR)).jobs_deleted == 0
    clock.now += 30 * 86_400
    assert cleanup(client, jobs).jobs_deleted == deleted
    if deleted:
        assert list(client.list(jobs.bucket)) == []
        with pytest.raises(JobNotFoundError):
            jobs.get_job_metadata("old")


def test_half_made_and_half_deleted_jobs_go(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """What a crash left behind is removed when it is old enough not to be work in progress."""
    client.put(jobs.bucket, input_key("half-made", "txt"), b"x")
    jobs.create_job("T", "x", job_id="half-deleted")
    jobs.acquire("half-deleted", owner="elsewhere", ttl=60).release()
    lease = jobs.acquire("half-deleted", owner="elsewhere", ttl=60)
    jobs.cancel("half-deleted")
    jobs.delete("half-deleted")
    lease.release()
    client.put(jobs.bucket, chunk_key("half-deleted", 1), b"take")
    assert cleanup(client, jobs).jobs_deleted == 0
    clock.now += 61
    assert cleanup(client, jobs).jobs_deleted == 1
    assert [info.key for info in client.list(jobs.bucket)] == ["half-made/input.txt"]
    assert cleanup(client, jobs, now=at(clock, DAY)).jobs_deleted == 1
    assert list(client.list(jobs.bucket)) == []


def test_strangers_and_damaged_jobs_are_not_touched(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """What we do not understand is not ours to delete."""
    client.put(jobs.bucket, "a stranger/x", b"x")
    client.put(jobs.bucket, "damaged/metadata.json", b"garbage")
    assert cleanup(client, jobs, now=at(clock, 1000 * DAY)) == CleanupReport()
    assert len(list(client.list(jobs.bucket))) == 2


def test_unfinished_uploads_are_aborted(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """Parts that nobody will complete cost space that no listing shows."""
    bucket = client.config.buckets.output
    client._connections.retried.create_multipart_upload(Bucket=bucket, Key="a.m4b")
    assert cleanup(client, jobs).uploads_aborted == 0
    assert cleanup(client, jobs, now=at(clock, DAY + HOUR)).uploads_aborted == 1
    assert list(client.incomplete_uploads(bucket)) == []


def test_a_dry_run_counts_the_same_and_changes_nothing(
    client: MinIOClient, jobs: JobManager, clock: Clock
) -> None:
    """What would happen is what happens."""
    client.put(client.config.buckets.temp, "a", b"123")
    jobs.create_job("T", "x", job_id="left")
    jobs.create_job("T", "x", job_id="old")
    jobs.update_job_status("old", "failed")
    client._connections.retried.create_multipart_upload(
        Bucket=client.config.buckets.output, Key="a.m4b"
    )
    before = [list(client.list(bucket)) for bucket in client.config.buckets]
    later = at(clock, 31 * DAY)
    planned = cleanup(client, jobs, now=later, dry_run=True)
    assert planned.dry_run
    assert [list(client.list(bucket)) for bucket in client.config.buckets] == before
    assert jobs.get_job_metadata("left")["status"] == "pending"
    clock.now = later.timestamp()
    done = cleanup(client, jobs)
    assert (done.temp_objects, done.jobs_abandoned, done.jobs_deleted) == (1, 1, 1)
    assert (done.uploads_aborted, done.bytes_freed, done.sample) == (
        planned.uploads_aborted,
        planned.bytes_freed,
        planned.sample,
    )
    assert "1 abandoned" in str(done)


def test_a_store_without_buckets_is_tidy(store_config: StoreConfig) -> None:
    """Nothing set up yet is nothing to tidy up."""
    client = MinIOClient(own_buckets(store_config))
    assert cleanup(client, JobManager(client)) == CleanupReport()
