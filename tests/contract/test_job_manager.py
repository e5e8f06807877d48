"""What jobs can rely on: one suite, run on each server there is."""

from __future__ import annotations

import json
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import (
    DarkChannelError,
    InputError,
    InvalidKeyError,
    JobConflictError,
    JobNotFoundError,
    StoreUnavailableError,
)
from darkchannel.models import JobStatus
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key, input_key, metadata_key
from tests.contract.clock import Clock
from tests.servers import own_buckets

ALWAYS = {
    *("job_id", "status", "created_at", "updated_at", "chapter_title", "revision"),
    *("chunks_total", "chunks_completed"),
}


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
