"""What whoever works on a job can rely on, on each server there is."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from darkchannel.errors import (
    InputError,
    JobBusyError,
    JobCancelledError,
    JobConflictError,
    LeaseLostError,
    StoreUnavailableError,
)
from darkchannel.storage import JobManager, MinIOClient
from tests.contract.clock import Clock


def unreachable(*_: object, **__: object) -> None:
    """What a call comes to while the store is gone."""
    raise StoreUnavailableError("gone")


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
        with pytest.raises(InputError):
            lease.update(fencing=1)
        with pytest.raises(InputError):
            lease.update(status="finished")
        with pytest.raises(InputError):
            lease.progress(1, notes=object())
        lease.update(status="completed")
    with jobs.acquire(job_id) as again, pytest.raises(JobConflictError):
        again.update(status="failed")
    assert jobs.get_job_metadata(job_id)["status"] == "completed"


@pytest.mark.parametrize("last", ["completed", "failed", "cancelled"])
def test_the_last_status_gives_the_job_back(
    jobs: JobManager, job_id: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write says how it ended and that nobody holds it, so leaving needs no store."""
    with jobs.acquire(job_id, ttl=600) as lease:
        lease.progress(7)
        assert lease.update(status=last)["lease"] is None
        with pytest.raises(LeaseLostError, match="given back"):
            lease.update(status="processing")
        monkeypatch.setattr(MinIOClient, "get", unreachable)
    monkeypatch.undo()
    after = jobs.get_job_metadata(job_id)
    assert (after["status"], after["chunks_completed"]) == (last, 7)
    jobs.acquire(job_id).release()


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
