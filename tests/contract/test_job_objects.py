"""What lies beside a job's metadata, what is damaged and what is deleted, on each server."""

from __future__ import annotations

import json
import uuid

import pytest

from darkchannel.errors import (
    InputError,
    IntegrityError,
    JobBusyError,
    JobConflictError,
    JobNotFoundError,
    LeaseLostError,
    NotFoundError,
)
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key, input_key, metadata_key, plan_key
from tests.contract.clock import Clock


def test_a_plan_is_written_once_and_read_back_unchanged(jobs: JobManager, job_id: str) -> None:
    """The same plan may be written again; another one is a conflict."""
    with pytest.raises(NotFoundError):
        jobs.read_plan(job_id)
    for _ in range(2):
        jobs.write_plan(job_id, b'{"chunks": []}')
    assert jobs.read_plan(job_id) == b'{"chunks": []}'
    with pytest.raises(JobConflictError):
        jobs.write_plan(job_id, b'{"chunks": [1]}')
    assert jobs.read_plan(job_id) == b'{"chunks": []}'


def test_a_plan_left_by_a_killed_run_does_not_stand_in_the_way(
    jobs: JobManager, client: MinIOClient, job_id: str
) -> None:
    """A plan that the metadata does not know of has never counted."""
    client.put(jobs.bucket, plan_key(job_id), b"half a pl")
    jobs.write_plan(job_id, b"whole plan")
    assert jobs.read_plan(job_id) == b"whole plan"


@pytest.mark.parametrize("what", ["plan", "input"])
def test_tampering_is_noticed(
    jobs: JobManager, client: MinIOClient, job_id: str, what: str
) -> None:
    """A plan or input changed behind our back is refused, and the remedy says what to do."""
    jobs.write_plan(job_id, b"plan")
    key = plan_key(job_id) if what == "plan" else input_key(job_id, "txt")
    read = jobs.read_plan if what == "plan" else jobs.read_input
    client.put(jobs.bucket, key, b"tampered")
    with pytest.raises(IntegrityError) as caught:
        read(job_id)
    assert job_id in caught.value.remedy
    client.delete(jobs.bucket, key)
    with pytest.raises(IntegrityError, match="missing"):
        read(job_id)


def test_room_is_made_for_what_comes_later(jobs: JobManager, client: MinIOClient) -> None:
    """When metadata grows, the text of the input is left to the input's own object."""
    job_id = jobs.create_job("T", "a" * 4096)
    after = jobs.update_job_status(job_id, "completed", notes="x" * 3500)
    assert ("input_text" in after, "input_key" in after) == (False, True)
    assert jobs.read_input(job_id) == b"a" * 4096
    with pytest.raises(InputError):
        jobs.update_job_status(job_id, "completed", notes="x" * 9000)
    assert jobs.get_job_metadata(job_id) == after


@pytest.mark.parametrize(
    "garbage", [b"", b"not json", b"[1]", b"\xff\xfe", b"{}", b'{"job_id": 1}']
)
def test_damaged_metadata_is_told_as_such(
    jobs: JobManager, client: MinIOClient, job_id: str, garbage: bytes
) -> None:
    """Bytes that are no metadata are an integrity error, never a traceback of the parser."""
    client.put(jobs.bucket, metadata_key(job_id), garbage)
    with pytest.raises(IntegrityError, match="metadata"):
        jobs.get_job_metadata(job_id)
    with pytest.raises(IntegrityError):
        jobs.acquire(job_id)
    assert job_id not in {job["job_id"] for job in jobs.list_jobs()}
    jobs.delete(job_id)
    assert list(client.list(jobs.bucket, f"{job_id}/")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "sleeping"},
        {"revision": None},
        {"updated_at": "yesterday"},
        {"lease": {"owner": "x"}},
        {"job_id": "another"},
    ],
    ids=repr,
)
def test_metadata_that_cannot_be_right_is_told_as_such(
    jobs: JobManager, client: MinIOClient, job_id: str, change: dict[str, object]
) -> None:
    """Valid JSON with a wrong field is damage too, named with what to do about it."""
    record = jobs.get_job_metadata(job_id) | change
    client.put(jobs.bucket, metadata_key(job_id), json.dumps(record).encode())
    with pytest.raises(IntegrityError, match="damaged") as caught:
        jobs.get_job_metadata(job_id)
    assert f"jobs delete {job_id}" in caught.value.remedy


def test_deleting_takes_everything_and_only_that(jobs: JobManager, client: MinIOClient) -> None:
    """A job goes with its takes and files; one whose id begins likewise stays."""
    name = f"livro-{uuid.uuid4().hex}"
    for job_id in (name, f"{name}.b"):
        jobs.create_job("T", "texto", job_id=job_id)
        jobs.write_plan(job_id, b"plan")
        client.put(jobs.bucket, chunk_key(job_id, 1), b"take")
    jobs.delete(name)
    assert [info.key for info in client.list(jobs.bucket, f"{name}/")] == []
    assert len(list(client.list(jobs.bucket, f"{name}.b/"))) == 4
    with pytest.raises(JobNotFoundError):
        jobs.get_job_metadata(name)
    with pytest.raises(JobNotFoundError):
        jobs.delete(name)
    assert jobs.create_job("T", "outro texto", job_id=name) == name
    assert jobs.read_input(name) == b"outro texto"


def test_a_job_being_worked_on_is_not_deleted(jobs: JobManager, job_id: str) -> None:
    """It has to be cancelled first."""
    with jobs.acquire(job_id) as lease:
        with pytest.raises(JobBusyError):
            jobs.delete(job_id)
        lease.update(status="processing")


def test_deleting_under_a_cancelled_worker_leaves_it_no_way_back(client: MinIOClient) -> None:
    """The worker loses its lease, the job is gone for all, and its id is free when it is safe."""
    clock = Clock()
    jobs = JobManager(client, clock=clock)
    job_id = jobs.create_job("T", "texto")
    lease = jobs.acquire(job_id, owner="elsewhere", ttl=600)
    jobs.cancel(job_id)
    jobs.delete(job_id)
    client.put(jobs.bucket, chunk_key(job_id, 1), b"a last take")
    for attempt in (lambda: jobs.get_job_metadata(job_id), lambda: jobs.acquire(job_id)):
        with pytest.raises(JobNotFoundError):
            attempt()
    assert job_id not in {job["job_id"] for job in jobs.list_jobs()}
    with pytest.raises(LeaseLostError):
        lease.update(voice="x")
    lease.release()
    with pytest.raises(JobBusyError):
        jobs.create_job("T", "texto", job_id=job_id)
    clock.now += 601
    assert jobs.create_job("T", "outro", job_id=job_id) == job_id
    assert not client.exists(jobs.bucket, chunk_key(job_id, 1))
    assert jobs.get_job_metadata(job_id)["status"] == "pending"


def test_a_creation_that_died_half_way_can_be_repeated_or_deleted(
    jobs: JobManager, client: MinIOClient
) -> None:
    """An input without metadata is no job yet."""
    name = f"livro-{uuid.uuid4().hex}"
    client.put(jobs.bucket, input_key(name, "txt"), b"texto")
    with pytest.raises(JobNotFoundError):
        jobs.get_job_metadata(name)
    with pytest.raises(JobConflictError):
        jobs.create_job("T", "outro", job_id=name)
    assert jobs.create_job("T", "texto", job_id=name) == name
    other = f"livro-{uuid.uuid4().hex}"
    client.put(jobs.bucket, input_key(other, "txt"), b"texto")
    jobs.delete(other)
    assert list(client.list(jobs.bucket, f"{other}/")) == []
