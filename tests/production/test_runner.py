"""Jobs that are handed over, found, cancelled and left for the next start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from darkchannel.errors import DarkChannelError, MergeError, NotFoundError, SynthesisError
from darkchannel.models import Chunk, Take
from darkchannel.production.mastering import SHORT_SECONDS, MasteringTurns
from darkchannel.production.outside import register_chunk
from darkchannel.production.pipeline import Production
from darkchannel.production.pool import speech_threads
from darkchannel.production.runner import RUNNER, JobRunner
from darkchannel.production.sharing import SharedPool
from darkchannel.production.worker import EngineFactory, TakeTask, make_take
from darkchannel.speech.engine import Speech
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage.keys import chunk_key
from tests.api.speakers import Gate
from tests.production.conftest import request_for, stored_plan


class Mute(ToneEngine):
    """Can say nothing."""

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """Fail."""
        raise SynthesisError("not a sound", chunk=chunks[0].index)


def create(production: Production, job_id: str, sentences: int = 3, **fields: object) -> None:
    """A job as the API creates it, with its plan; each sentence is a chunk."""
    text = "\n\n".join(f"Frase {number} de {job_id}." for number in range(1, sentences + 1))
    request = request_for(text, job_id=job_id)
    plan, _ = production.plan(request, ToneEngine())
    production.create(request, job_id, plan, **{"runner": RUNNER, **fields})
    production.jobs.write_plan(job_id, plan.to_json())


def await_status(production: Production, job_id: str, *wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (job := production.jobs.get_job_metadata(job_id))["status"] not in wanted:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


@contextmanager
def running(production: Production, **more: Any) -> Iterator[JobRunner]:
    """A runner with two workers."""
    pool = SharedPool(partial(speech_threads, 2), 2)
    runner = JobRunner(production, pool, **more)
    try:
        yield runner
    finally:
        runner.stop()
        pool.close()


def test_jobs_handed_over_become_books(production: Production, unique: str) -> None:
    """Several at once; each is told of when it ended, also when handed over twice."""
    ended: list[str] = []
    names = [f"{unique}-{number}" for number in range(4)]
    for name in names:
        create(production, name)
    with running(production, on_end=lambda job: ended.append(job["job_id"])) as runner:
        for name in names + names:
            runner.submit(name)
        jobs = [await_status(production, name, "completed", "failed") for name in names]
        while runner.active:
            time.sleep(0.02)
    assert [(job["status"], job["chunks_completed"]) for job in jobs] == [("completed", 3)] * 4
    assert sorted(set(ended)) == names


def test_only_jobs_left_behind_for_a_runner_are_found(production: Production, unique: str) -> None:
    """A scan takes on what nobody works on, and no job of the command line."""
    create(production, f"{unique}-left")
    create(production, f"{unique}-held")
    create(production, f"{unique}-cli", runner=None)
    create(production, f"{unique}-elsewhere", render="external")
    counts: dict[str, int] = {}
    with (
        production.jobs.acquire(f"{unique}-held"),
        running(production, on_scan=counts.update) as runner,
    ):
        runner.scan()
        assert await_status(production, f"{unique}-left", "completed")
        while runner.active:
            time.sleep(0.02)
        for name in ("held", "cli", "elsewhere"):
            assert production.jobs.get_job_metadata(f"{unique}-{name}")["status"] == "pending"
    assert counts["pending"] >= 4


def test_a_stop_gives_jobs_back(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """A runner that stops keeps what was rendered and leaves the lease; the next one goes on."""
    gate = Gate(free=2)
    production = make_production(gate)
    create(production, unique, 6)
    with running(production) as runner:
        runner.submit(unique)
        gate.await_begun(4)
        runner._stopping.set()  # as stop() does first; the workers are let go on a little later
        threading.Timer(0.2, gate.opened.set).start()
    job = production.jobs.get_job_metadata(unique)
    assert (job["status"], job["lease"]) == ("processing", None)
    with running(make_production(ToneEngine)) as runner:
        runner.scan()
        assert await_status(production, unique, "completed")["chunks_completed"] == 6


def test_a_cancelled_run_ends_at_once(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """Other jobs get its turns; its takes are kept."""
    gate = Gate(free=1)
    production = make_production(gate)
    create(production, unique, 6)
    with running(production) as runner:
        runner.submit(unique)
        gate.await_begun(3)
        production.jobs.cancel(unique)
        runner.cancel(unique)
        deadline = time.monotonic() + 3
        while runner.active:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        gate.opened.set()
    assert production.jobs.get_job_metadata(unique)["status"] == "cancelled"


def test_a_failure_outside_a_run_is_written_down(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """A job begun with an engine of another version fails with that reason; it is not retried."""

    class Newer(ToneEngine):
        fingerprint = "tone-of-tomorrow"

    create(make_production(ToneEngine), unique)
    production = make_production(Newer)
    with running(production) as runner:
        runner.submit(unique)
        job = await_status(production, unique, "failed")
    assert job["error"]["type"] == "JobConflictError"


def render_outside(production: Production, job_id: str, index: int) -> None:
    """What a speech service does."""
    chunk = stored_plan(production, job_id).chunks[index - 1]
    make_take(TakeTask(job_id, chunk, production.store, ToneEngine, False, False))


def test_chunks_rendered_elsewhere_are_counted_once(production: Production, unique: str) -> None:
    """However often and in what order they are registered, also at once."""
    create(production, unique, 4, render="external")
    plan = stored_plan(production, unique)
    for index in range(1, 5):
        render_outside(production, unique, index)
    calls = [3, 1, 1, 3, 4, 4, 2, 2, 2, 1]
    threads = [
        threading.Thread(target=register_chunk, args=(production.jobs, unique, index, plan))
        for index in calls
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = production.jobs.get_job_metadata(unique)
    assert (job["status"], job["chunks_completed"]) == ("processing", 4)


def test_what_is_no_take_is_not_counted(production: Production, unique: str) -> None:
    """Missing, another chunk's, damaged, or beyond the plan: refused by name."""
    create(production, unique, 3, render="external")
    plan, bucket = stored_plan(production, unique), production.store.buckets.jobs
    with pytest.raises(NotFoundError, match="no take"):
        register_chunk(production.jobs, unique, 1, plan)
    with pytest.raises(NotFoundError, match="no chunk 4"):
        register_chunk(production.jobs, unique, 4, plan)
    render_outside(production, unique, 2)
    client, two = production.client, chunk_key(unique, 2)
    client.copy(bucket, two, bucket, chunk_key(unique, 1))
    with pytest.raises(MergeError, match="not a take of chunk 1"):
        register_chunk(production.jobs, unique, 1, plan)
    whole = client.get(bucket, two)
    client.put(bucket, two, whole.data[:-2000], metadata=dict(whole.metadata))
    with pytest.raises(MergeError, match="chunk 2"):
        register_chunk(production.jobs, unique, 2, plan)
    assert production.jobs.get_job_metadata(unique)["chunks_completed"] == 0


def test_merging_names_what_is_missing(production: Production, unique: str) -> None:
    """Never a shorter book: the merge is refused until every take is there."""
    create(production, unique, 4, render="external")
    for index in (1, 3):
        render_outside(production, unique, index)
    with pytest.raises(MergeError, match="chunks 2, 4"):
        production.merge(unique)
    for index in (2, 4):
        render_outside(production, unique, index)
    production.merge(unique)
    job = production.jobs.get_job_metadata(unique)
    assert (job["status"], job["chunks_completed"]) == ("completed", 4)
    assert production.client.exists(production.store.buckets.output, job["output_key"])


def test_books_are_mastered_in_turns(production: Production, unique: str) -> None:
    """A book waits for its turn without working; cancelled meanwhile, it never has one."""
    turns = MasteringTurns(0)
    names = [f"{unique}-first", f"{unique}-second"]
    for name in names:
        create(production, name)
    with running(replace(production, mastering=turns)) as runner:
        for name in names:
            runner.submit(name)
            await_status(production, name, "merging")
        production.jobs.cancel(names[0])
        runner.cancel(names[0])
        while runner.active > 1:
            time.sleep(0.02)
        turns.of(1).release()
        assert await_status(production, names[1], "completed")
    assert production.jobs.get_job_metadata(names[0])["status"] == "cancelled"
    assert turns.of(1).acquire(blocking=False)


def test_a_page_does_not_wait_for_novels() -> None:
    """With as many long books being mastered as may, a short one has its turn at once."""
    turns = MasteringTurns(2)
    for _ in range(2):
        assert turns.of(36_000).acquire(blocking=False)
    assert not turns.of(SHORT_SECONDS + 1).acquire(blocking=False)
    assert turns.of(SHORT_SECONDS).acquire(blocking=False)


def test_takes_and_failures_are_told(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """Each take with how long it took, and what a run failed with."""
    takes: list[Take] = []
    failures: list[DarkChannelError] = []
    with running(
        make_production(ToneEngine), on_take=takes.append, on_failure=failures.append
    ) as runner:
        create(make_production(ToneEngine), unique)
        runner.submit(unique)
        await_status(make_production(ToneEngine), unique, "completed")
    assert sorted(take.index for take in takes if take.render_seconds > 0) == [1, 2, 3]
    assert not failures
    broken = make_production(Mute)
    with running(broken, on_failure=failures.append) as runner:
        create(broken, f"{unique}-mute", 1)
        runner.submit(f"{unique}-mute")
        await_status(broken, f"{unique}-mute", "failed")
        while runner.active:
            time.sleep(0.02)
    assert [failure.chunk for failure in failures] == [1]


def test_what_is_worked_on_is_known_without_the_store(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """As it was last written here, until the run ends; nothing is known of other jobs."""
    gate = Gate(free=0)
    production = make_production(gate)
    create(production, unique)
    with running(production) as runner:
        assert runner.metadata_of(unique) is None
        runner.submit(unique)
        gate.await_begun(1)
        known = runner.metadata_of(unique)
        assert known is not None
        assert (known["job_id"], known["status"]) == (unique, "processing")
        gate.opened.set()
        await_status(production, unique, "completed")
        while runner.active:
            time.sleep(0.02)
        assert runner.metadata_of(unique) is None
