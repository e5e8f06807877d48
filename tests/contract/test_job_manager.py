"""What jobs can rely on: one suite, run on each server there is."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import (
    DarkChannelError,
    InputError,
    IntegrityError,
    InvalidKeyError,
    JobBusyError,
    JobCancelledError,
    JobConflictError,
    JobNotFoundError,
    LeaseLostError,
    NotFoundError,
    StoreUnavailableError,
)
from darkchannel.models import JobStatus
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key, input_key, metadata_key, plan_key
from tests.servers import own_buckets

ALWAYS = {
    *("job_id", "status", "created_at", "updated_at", "chapter_title", "revision"),
    *("chunks_total", "chunks_completed"),
}


class Clock:
    """A clock of our own, so that leases expire without waiting."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture(scope="module")
def jobs(client: MinIOClient) -> JobManager:
    return JobManager(client)


@pytest.fixture
def job_id(jobs: JobManager) -> str:
    return jobs.create_job("Capítulo 1", "Era uma vez.")


def test_a_new_job_says_what_it_is(jobs: JobManager) -> None:
    """Metadata has every field of the design, times in UTC with Z, and what the caller added."""
    job_id = jobs.create_job("Capítulo 1", "Era uma vez.", engine="tone", voice="pf_dora")
    metadata = jobs.get_job_metadata(job_id)
    assert uuid.UUID(job_id).version == 4
    assert metadata.keys() >= ALWAYS
    assert metadata["job_id"] == job_id
    assert metadata["status"] == "pending"
    assert metadata["chapter_title"] == "Capítulo 1"
    assert metadata["input_text"] == "Era uma vez."
    assert (metadata["engine"], metadata["voice"]) == ("tone", "pf_dora")
    assert metadata["created_at"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(metadata["created_at"])
    assert abs(age.total_seconds()) < 60
    assert jobs.read_input(job_id) == b"Era uma vez."


@pytest.mark.parametrize(
    ("text", "inline"),
    [
        ("a" * 4096, True),
        ("a" * 4097, False),
        ("é" * 2048, True),
        ("é" * 2049, False),
        ("linha\n" * 600, True),
        ("\x01" * 4000, False),
        ("\n" * 4096, False),
        (b"caf\xe9", False),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_only_short_inputs_lie_in_the_metadata(
    jobs: JobManager, client: MinIOClient, text: str | bytes, inline: bool
) -> None:
    """Up to 4 KiB of text stand in the metadata, unless JSON makes them much longer."""
    job_id = jobs.create_job("T", text, input_format="ssml")
    metadata = jobs.get_job_metadata(job_id)
    data = text if isinstance(text, bytes) else text.encode()
    assert ("input_text" in metadata, "input_key" in metadata) == (inline, not inline)
    assert jobs.read_input(job_id) == data
    assert client.get(jobs.bucket, input_key(job_id, "ssml")).data == data
    assert client.head(jobs.bucket, metadata_key(job_id)).size < 8 * 1024


def test_creating_again_with_the_same_input_finds_the_job(jobs: JobManager) -> None:
    """A repeated request changes nothing, whatever has become of the job since."""
    name = f"livro-{uuid.uuid4().hex}"
    assert jobs.create_job("T", "texto", job_id=name) == name
    before = jobs.update_job_status(name, "processing", chunks_total=7)
    assert jobs.create_job("T", "texto", job_id=name) == name
    assert jobs.get_job_metadata(name) == before


@pytest.mark.parametrize(("text", "form"), [("outro", "txt"), ("texto", "ssml"), ("outro", "ssml")])
def test_an_id_taken_by_another_input_is_a_conflict(
    jobs: JobManager, client: MinIOClient, text: str, form: str
) -> None:
    """The second caller is told, and the first one's job stays what it was."""
    name = f"livro-{uuid.uuid4().hex}"
    jobs.create_job("T", "texto", job_id=name)
    before = jobs.get_job_metadata(name)
    with pytest.raises(JobConflictError, match=name):
        jobs.create_job("T", text, job_id=name, input_format=form)
    assert jobs.get_job_metadata(name) == before
    assert jobs.read_input(name) == b"texto"
    assert len(list(client.list(jobs.bucket, f"{name}/"))) == 2


def test_of_many_creators_one_input_wins(jobs: JobManager, client: MinIOClient) -> None:
    """Eight threads with eight texts and one id: one job, and seven conflicts."""
    name = f"livro-{uuid.uuid4().hex}"

    def create(number: int) -> str | None:
        try:
            jobs.create_job("T", f"texto {number}", job_id=name, input_format="abcdefgh"[number])
        except JobConflictError:
            return None
        return f"texto {number}"

    with ThreadPoolExecutor(8) as threads:
        winners = [text for text in threads.map(create, range(8)) if text is not None]
    assert len(winners) == 1
    assert jobs.read_input(name).decode() == winners[0]
    assert len(list(client.list(jobs.bucket, f"{name}/"))) == 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"job_id": "../x"}, InvalidKeyError),
        ({"input_format": "../x"}, InvalidKeyError),
        ({"chapter_title": "x" * 301}, InputError),
        ({"input_text": "\ud800"}, InputError),
        ({"revision": 7}, InputError),
        ({"lease": {}}, InputError),
        ({"voice": object()}, InputError),
        ({"voice": "x" * 9000}, InputError),
        ({"speed": float("nan")}, InputError),
    ],
    ids=[
        *("job id", "format", "title", "surrogate", "revision", "lease"),
        *("not JSON", "too long", "not a number"),
    ],
)
def test_a_job_that_cannot_be_kept_is_refused(
    jobs: JobManager, change: dict[str, object], error: type[Exception]
) -> None:
    """What is wrong with a request is told before anything counts as created."""
    name = f"livro-{uuid.uuid4().hex}"
    request: dict[str, object] = {"chapter_title": "T", "input_text": "x", "job_id": name}
    with pytest.raises(error):
        jobs.create_job(**(request | change))  # type: ignore[arg-type]
    with pytest.raises(JobNotFoundError):
        jobs.get_job_metadata(name)


@pytest.mark.parametrize(
    "verb",
    ["get_job_metadata", "read_input", "read_plan", "cancel", "delete", "acquire"],
)
def test_what_is_no_job_is_not_found(jobs: JobManager, verb: str) -> None:
    """Every verb names the job it did not find, and refuses ids that are none."""
    with pytest.raises(JobNotFoundError, match="no-such-job"):
        getattr(jobs, verb)("no-such-job")
    with pytest.raises(InvalidKeyError):
        getattr(jobs, verb)("../x")


FINAL = [status for status in JobStatus if status.final]
RUNNING = [status for status in JobStatus if not status.final]


@pytest.mark.parametrize("present", JobStatus)
@pytest.mark.parametrize("wanted", JobStatus)
def test_a_job_moves_only_where_its_life_leads(
    jobs: JobManager, job_id: str, present: JobStatus, wanted: JobStatus
) -> None:
    """An unfinished job may become anything; a finished one is resumed first."""
    jobs.update_job_status(job_id, present)
    allowed = (
        present in RUNNING
        or wanted in {present, JobStatus.PENDING, JobStatus.PROCESSING}
        or (present, wanted) == (JobStatus.FAILED, JobStatus.CANCELLED)
    )
    if allowed:
        metadata = jobs.update_job_status(job_id, wanted)
        assert ("completed_at" in metadata) == (wanted == JobStatus.COMPLETED)
    else:
        with pytest.raises(JobConflictError):
            jobs.update_job_status(job_id, wanted)
        assert jobs.get_job_metadata(job_id)["status"] == present


def test_an_update_sets_fields_and_counts_revisions(jobs: JobManager, job_id: str) -> None:
    """Fields come together with the status; unknown statuses and our own fields are refused."""
    first = jobs.get_job_metadata(job_id)
    second = jobs.update_job_status(job_id, "failed", error={"type": "X", "message": "m" * 5000})
    assert second["revision"] == first["revision"] + 1
    assert len(second["error"]["message"]) == 1000
    assert "error" not in jobs.update_job_status(job_id, "processing")
    done = jobs.update_job_status(job_id, "completed", output_key="k", duration_seconds=1.5)
    assert (done["output_key"], done["duration_seconds"]) == ("k", 1.5)
    assert done == jobs.get_job_metadata(job_id)
    with pytest.raises(InputError, match="done"):
        jobs.update_job_status(job_id, "done")
    with pytest.raises(InputError, match="fencing"):
        jobs.update_job_status(job_id, "completed", fencing=9)
    assert jobs.get_job_metadata(job_id) == done


def test_no_change_is_lost_among_many_writers(jobs: JobManager, job_id: str) -> None:
    """Eight threads adding one 25 times each to one job make exactly 200."""

    def count(_: int) -> None:
        for _ in range(25):

            def add(document: dict[str, object], now: float) -> dict[str, object]:
                return {**document, "count": int(str(document.get("count", 0))) + 1}

            jobs._change(job_id, add)

    before = jobs.get_job_metadata(job_id)["revision"]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))
    after = jobs.get_job_metadata(job_id)
    assert after["count"] == 200
    assert after["revision"] == before + 200


def test_of_many_workers_one_gets_the_lease(jobs: JobManager, job_id: str) -> None:
    """Eight threads want the job; one works, seven are told so."""

    def attempt(_: int) -> int | None:
        try:
            return jobs.acquire(job_id).fencing
        except JobBusyError:
            return None

    with ThreadPoolExecutor(8) as threads:
        winners = [fencing for fencing in threads.map(attempt, range(8)) if fencing is not None]
    assert winners == [1]


def test_a_lease_given_back_can_be_taken_at_once(jobs: JobManager, job_id: str) -> None:
    """Each tenure has a higher fencing number, and leaves no lease behind."""
    for number in (1, 2, 3):
        with jobs.acquire(job_id) as lease:
            assert lease.fencing == number
            assert not lease.lost
            assert not lease.cancelled
        assert jobs.get_job_metadata(job_id)["lease"] is None
        lease.release()
        with pytest.raises(LeaseLostError, match="given back"):
            lease.update(voice="x")
        assert not lease.lost


def test_an_expired_lease_is_taken_over_and_the_old_owner_loses(client: MinIOClient) -> None:
    """After the expiry another may take the job, and nothing the first writes gets through."""
    clock = Clock()
    jobs = JobManager(client, clock=clock)
    job_id = jobs.create_job("T", "texto")
    first = jobs.acquire(job_id, owner="first", ttl=600)
    clock.now += 599
    with pytest.raises(JobBusyError):
        jobs.acquire(job_id, owner="second", ttl=600)
    clock.now += 1
    second = jobs.acquire(job_id, owner="second", ttl=600)
    assert second.fencing == first.fencing + 1
    with pytest.raises(LeaseLostError):
        first.update(status="processing", voice="wrong")
    assert first.lost
    with pytest.raises(LeaseLostError):
        first.progress(5)
    first.release()
    after = jobs.get_job_metadata(job_id)
    assert (after["lease"]["owner"], after["status"], "voice" in after) == (
        "second",
        "pending",
        False,
    )
    second.update(status="processing")
    second.release()


def test_a_lease_lives_as_long_as_its_heart_beats(jobs: JobManager, job_id: str) -> None:
    """Held for longer than it lasts, by the store's clock, a lease is still ours."""
    with jobs.acquire(job_id, ttl=2) as lease:
        for _ in range(4):
            time.sleep(1)
            with pytest.raises(JobBusyError):
                jobs.acquire(job_id)
        assert not lease.lost
        lease.update(status="processing")


def test_a_lease_without_a_heart_expires_by_the_stores_clock(jobs: JobManager, job_id: str) -> None:
    """A holder that cannot be judged from here has its time, and no more."""
    lease = jobs.acquire(job_id, owner="on another machine", ttl=1)
    lease._stop.set()  # as if its machine had lost power
    lease._wake.set()
    lease._thread.join()
    with pytest.raises(JobBusyError):
        jobs.acquire(job_id)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            jobs.acquire(job_id).release()
            break
        except JobBusyError:
            time.sleep(0.2)
    else:
        pytest.fail("the lease never expired")
    with pytest.raises(LeaseLostError):
        lease.update(voice="x")


HOLDER = """
import pickle, sys, time
jobs = pickle.loads(sys.stdin.buffer.read())
lease = jobs.acquire(sys.argv[1], ttl=600)
print("held", flush=True)
time.sleep(60)
"""


def test_the_job_of_a_killed_process_goes_on_at_once(jobs: JobManager, job_id: str) -> None:
    """After kill -9 the same command does not have to wait for the lease to expire."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, job_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(pickle.dumps(jobs))
        holder.stdin.close()
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(JobBusyError):
            jobs.acquire(job_id)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with jobs.acquire(job_id) as lease:
        assert lease.fencing == 2


def test_progress_is_written_rarely_and_its_last_value_always(
    jobs: JobManager, client: MinIOClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand reports in two seconds make a handful of small writes."""
    written: list[int] = []
    put = MinIOClient.put

    def counted(self: MinIOClient, bucket: str, key: str, data: bytes, **options: object) -> str:
        written.append(len(data))
        return put(self, bucket, key, data, **options)  # type: ignore[arg-type]

    with jobs.acquire(job_id) as lease:
        lease.update(status="processing", chunks_total=1000)
        monkeypatch.setattr(MinIOClient, "put", counted)
        started = time.monotonic()
        for number in range(1, 1001):
            lease.progress(number, seconds_rendered=number / 2)
            time.sleep(max(0, started + number / 500 - time.monotonic()))
        took = time.monotonic() - started
        assert 1 <= len(written) <= took + 2
        lease.flush()
        assert jobs.get_job_metadata(job_id)["chunks_completed"] == 1000
        lease.progress(1001)
    after = jobs.get_job_metadata(job_id)
    assert (after["chunks_completed"], after["seconds_rendered"]) == (1001, 500)
    assert len(written) <= took + 4
    assert max(written) < 8 * 1024


def test_progress_reaches_the_store_without_being_asked(jobs: JobManager, job_id: str) -> None:
    """Who watches a job sees where it stands within two seconds or so."""
    with jobs.acquire(job_id) as lease:
        lease.progress(3)
        deadline = time.monotonic() + 5
        while jobs.get_job_metadata(job_id)["chunks_completed"] != 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_cancellation_is_noticed_and_respected(jobs: JobManager, job_id: str) -> None:
    """The worker learns of it with its next write, keeps its lease, and cannot overrule it."""
    with jobs.acquire(job_id) as lease:
        lease.update(status="processing")
        assert jobs.cancel(job_id)["status"] == "cancelled"
        assert not lease.cancelled
        lease.progress(4)
        lease.flush()
        assert lease.cancelled
        with pytest.raises(JobCancelledError):
            lease.update(status="merging")
        with pytest.raises(JobCancelledError):
            lease.update(status="completed")
        lease.update(status="cancelled")
    after = jobs.get_job_metadata(job_id)
    assert (after["status"], after["chunks_completed"]) == ("cancelled", 4)
    assert jobs.cancel(job_id) == after


def test_a_cancelled_job_can_be_resumed_and_cancelled_again(jobs: JobManager, job_id: str) -> None:
    """Taking a cancelled job up means resuming it; a later cancellation counts anew."""
    jobs.cancel(job_id)
    with jobs.acquire(job_id) as lease:
        lease.progress(0)
        lease.flush()
        assert not lease.cancelled
        lease.update(status="processing")
        jobs.cancel(job_id)
        with pytest.raises(JobCancelledError):
            lease.update(status="merging")
        lease.flush()


def test_a_completed_job_cannot_be_cancelled(jobs: JobManager, job_id: str) -> None:
    """What is done is done."""
    jobs.update_job_status(job_id, "completed")
    with pytest.raises(JobConflictError):
        jobs.cancel(job_id)


def test_while_a_job_is_held_only_its_holder_moves_it(jobs: JobManager, job_id: str) -> None:
    """Others may cancel and nothing else; the holder's own moves follow the same life."""
    with jobs.acquire(job_id) as lease:
        with pytest.raises(JobBusyError):
            jobs.update_job_status(job_id, "failed")
        lease.update(status="completed")
        with pytest.raises(JobConflictError):
            lease.update(status="failed")
        with pytest.raises(InputError):
            lease.update(fencing=1)
        with pytest.raises(InputError):
            lease.update(status="finished")
        with pytest.raises(InputError):
            lease.progress(1, notes=object())
    assert jobs.get_job_metadata(job_id)["status"] == "completed"


def test_an_error_inside_gives_the_job_back(jobs: JobManager, job_id: str) -> None:
    """Whatever happens while a job is held, the next worker need not wait."""

    def work() -> None:
        with jobs.acquire(job_id) as lease:
            lease.progress(2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert jobs.get_job_metadata(job_id)["chunks_completed"] == 2
    jobs.acquire(job_id).release()


@pytest.mark.parametrize("options", [{"ttl": 0.5}, {"ttl": 3601}, {"owner": ""}], ids=repr)
def test_leases_are_bounded(jobs: JobManager, job_id: str, options: dict[str, object]) -> None:
    """One second to one hour, and somebody's."""
    with pytest.raises(InputError):
        jobs.acquire(job_id, **options)  # type: ignore[arg-type]


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


def test_jobs_are_listed_all_or_newest_first(store_config: StoreConfig) -> None:
    """All come one by one; the newest come in order; damaged ones and strangers do not disturb."""
    client = MinIOClient(own_buckets(store_config))
    client.ensure_buckets()
    clock = Clock()
    jobs = JobManager(client, clock=clock)
    names = []
    for name in ("b", "c", "a"):
        clock.now += 10
        names.append(jobs.create_job("T", "texto", job_id=name))
        client.put(jobs.bucket, chunk_key(name, 1), b"take")
    client.put(jobs.bucket, metadata_key("d"), b"garbage")
    client.put(jobs.bucket, "a stranger/x", b"x")
    client.put(jobs.bucket, "x", b"x")
    assert sorted(job["job_id"] for job in jobs.list_jobs()) == ["a", "b", "c"]
    assert [job["job_id"] for job in jobs.list_jobs(newest=2)] == ["a", "c"]


def test_a_write_whose_answer_is_lost_counts_once(
    jobs: JobManager, client: MinIOClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nonce in the document tells that the change has happened, even under another's eyes."""
    put = MinIOClient.put
    lost: list[str] = []

    def losing(self: MinIOClient, *place: str, **options: object) -> str:
        etag = put(self, *place, **options)  # type: ignore[arg-type]
        if not lost:
            lost.append(etag)
            raise StoreUnavailableError("the answer was lost")
        return etag

    monkeypatch.setattr(MinIOClient, "put", losing)
    calls: list[int] = []

    def add(document: dict[str, object], now: float) -> dict[str, object]:
        calls.append(1)
        return {**document, "count": int(str(document.get("count", 0))) + 1}

    assert jobs._change(job_id, add)["count"] == 1
    assert jobs.get_job_metadata(job_id)["count"] == 1
    assert (len(lost), len(calls)) == (1, 1)


def test_a_store_that_goes_away_takes_no_progress_with_it(
    jobs: JobManager, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is gone reports are kept, and written when it is back."""
    get = MinIOClient.get
    gone = threading.Event()

    def failing(self: MinIOClient, bucket: str, key: str, **options: int) -> object:
        if gone.is_set():
            raise StoreUnavailableError("gone")
        return get(self, bucket, key, **options)

    monkeypatch.setattr(MinIOClient, "get", failing)
    with jobs.acquire(job_id) as lease:
        gone.set()
        lease.progress(9)
        time.sleep(1.3)
        with pytest.raises(StoreUnavailableError):
            lease.flush()
        gone.clear()
        lease.flush()
        assert jobs.get_job_metadata(job_id)["chunks_completed"] == 9
        assert not lease.lost


def test_what_is_stored_is_plain_json(jobs: JobManager, client: MinIOClient, job_id: str) -> None:
    """Other programs read metadata.json without us: UTF-8 JSON with its media type."""
    stored = client.get(jobs.bucket, metadata_key(job_id))
    assert json.loads(stored.data)["chapter_title"] == "Capítulo 1"
    assert stored.info.content_type == "application/json"
    assert "Capítulo" in stored.data.decode()


def _kinds() -> list[Callable[[JobManager], object]]:
    return [lambda jobs: jobs, lambda jobs: pickle.loads(pickle.dumps(jobs))]


@pytest.mark.parametrize("arrive", _kinds(), ids=["here", "pickled"])
def test_a_manager_travels_to_workers(
    jobs: JobManager, job_id: str, arrive: Callable[[JobManager], JobManager]
) -> None:
    """A pickled manager works on the same jobs."""
    assert arrive(jobs).get_job_metadata(job_id)["job_id"] == job_id


def test_every_error_is_of_our_tree(jobs: JobManager) -> None:
    """Callers catch one class."""
    with pytest.raises(DarkChannelError):
        jobs.get_job_metadata("nothing")
