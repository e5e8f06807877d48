"""Jobs over HTTP: asked for once, followed, cancelled, gone on with, fetched."""

from __future__ import annotations

import gzip
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from darkchannel.storage import JobManager, MinIOClient
from tests.api.jobs_api import await_job, events_of, running_jobs, text_of
from tests.api.running import Running
from tests.api.speakers import Gate
from tests.storage.proxy import proxied


def test_a_text_becomes_a_book(jobs: Running, client: MinIOClient, job_id: str) -> None:
    """202 with where it stands; then a link that gives the MP3, fresh each time."""
    body = {"text": text_of(job_id, 3), "job_id": job_id, "title": "Um livro"}
    answer = jobs.client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["created"] is True
    assert answer.json()["chunks_total"] == 3
    job = await_job(jobs, job_id)
    assert (job["chunks_completed"], job["fraction"], job["chapter_title"]) == (3, 1.0, "Um livro")
    assert job["output_url"].startswith("s3://")
    link = jobs.client.get(f"/v1/jobs/{job_id}/download-url?expires=60").json()
    assert link["expires_in"] == 60
    with urllib.request.urlopen(link["download_url"], timeout=10) as found:
        assert found.read(3) == b"ID3"
    assert "lease" not in job
    assert "writer" not in job


@pytest.mark.parametrize("way", ["job_id", "key"])
def test_asking_again_finds_the_job(jobs: Running, job_id: str, way: str) -> None:
    """By the caller's id or its Idempotency-Key; with another text or option it is a 409."""
    body: dict[str, Any] = {"text": text_of(job_id)}
    headers = {}
    if way == "job_id":
        body["job_id"] = job_id
    else:
        headers["Idempotency-Key"] = job_id
    first, again = (jobs.client.post("/v1/jobs", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert (first.json()["created"], again.json()["created"]) == (True, False)
    for change in ({"text": "Outro."}, {"speed": 1.5}, {"priority": 3}):
        other = jobs.client.post("/v1/jobs", json=body | change, headers=headers)
        assert other.status_code == 409, other.text
    await_job(jobs, first.json()["job_id"])


@pytest.mark.parametrize("name", ["livro.txt", "livro.ssml"])
def test_a_file_can_be_sent(jobs: Running, job_id: str, name: str) -> None:
    """As a form, with options beside it; its name says what it is and titles a book without."""
    text = text_of(job_id, 1)
    data = f"<speak><p>{text}</p></speak>" if name.endswith("ssml") else text
    answer = jobs.client.post(
        "/v1/jobs",
        data={"job_id": job_id, "priority": "50"},
        files={"file": (f"../x/{name}", data.encode(), "text/plain")},
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["chapter_title"] == "livro"
    assert answer.json()["priority"] == 50
    assert await_job(jobs, job_id)["chunks_total"] == 1


def test_events_follow_a_job_to_its_end(jobs: Running, job_id: str) -> None:
    """Ids are revisions that grow; who comes back gets only what is new, at the end nothing."""
    body = {"text": text_of(job_id), "job_id": job_id}
    jobs.client.post("/v1/jobs", json=body)
    events = events_of(jobs, job_id)
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(set(ids))
    last = json.loads(events[-1]["data"])
    assert (last["status"], last["revision"], events[-1]["event"]) == ("completed", ids[-1], "job")
    again = events_of(jobs, job_id, last=str(ids[-1] - 1))
    assert [int(event["id"]) for event in again] == [ids[-1]]
    done = jobs.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(ids[-1])})
    assert done.status_code == 204


def test_cancel_and_resume(own_client: MinIOClient, tmp_path: Path, job_id: str) -> None:
    """A cancelled job stops and keeps its takes; resumed, it renders only what is missing."""
    gate = Gate(free=2)
    with running_jobs(own_client, tmp_path, make_engine=gate) as jobs:
        jobs.client.post("/v1/jobs", json={"text": text_of(job_id, 6), "job_id": job_id})
        gate.await_begun(4)
        early = jobs.client.get(f"/v1/jobs/{job_id}/download-url")
        assert early.status_code == 409
        cancelled = jobs.client.delete(f"/v1/jobs/{job_id}")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        gate.opened.set()
        while (resumed := jobs.client.post(f"/v1/jobs/{job_id}/resume")).status_code == 409:
            assert resumed.json()["error"]["type"] == "JobBusyError"
        assert resumed.status_code == 202
        job = await_job(jobs, job_id)
        assert job["chunks_completed"] == 6
        assert jobs.client.delete(f"/v1/jobs/{job_id}").status_code == 409
    assert len(gate.begun) == 6


def test_all_jobs_page_by_page(jobs: Running, client: MinIOClient, job_id: str) -> None:
    """Every job once, in order of ids, whatever the size of the pages."""
    names = {f"{job_id}-{number}" for number in range(5)}
    for name in names:
        JobManager(client).create_job("x", "Um.", job_id=name)
    found: list[str] = []
    cursor = job_id
    while cursor is not None:
        page = jobs.client.get("/v1/jobs", params={"limit": 2, "cursor": cursor}).json()
        found += [job["job_id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert len(found) == len(set(found))
    assert found == sorted(found)
    assert names <= set(found)


def test_plan_and_voices(jobs: Running, job_id: str) -> None:
    """What would be said, with the digests of its takes; and by whom it can be."""
    answer = jobs.client.post("/v1/plan", json={"text": text_of(job_id, 3)})
    assert answer.status_code == 200
    assert [chunk["index"] for chunk in answer.json()["chunks"]] == [1, 2, 3]
    assert all(len(chunk["digest"]) == 64 for chunk in answer.json()["chunks"])
    names = {voice["name"] for voice in jobs.client.get("/v1/voices").json()}
    assert answer.json()["chunks"][0]["voice"] in names
    assert jobs.client.get(f"/v1/jobs/{job_id}").status_code == 404


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "no text": ({}, 422),
    "both": ({"text": "Um.", "ssml": "<speak>Um.</speak>"}, 422),
    "empty": ({"text": ""}, 422),
    "voice": ({"text": "Um.", "voice": "nobody"}, 422),
    "language": ({"text": "Um.", "language": "xx-YY"}, 422),
    "engine": ({"text": "Um.", "engine": "kokoro"}, 400),
    "preset": ({"text": "Um.", "preset": "loud"}, 400),
    "path": ({"text": "Um.", "job_id": "../../etc"}, 422),
    "escaped": ({"text": "Um.", "job_id": "a%2fb"}, 422),
    "unknown": ({"text": "Um.", "colour": "red"}, 422),
    "markup": ({"ssml": "<speak><p>Um."}, 422),
    "priority": ({"text": "Um.", "priority": 0}, 422),
    "webhook": ({"text": "Um.", "webhook_url": "https://example.org/"}, 400),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_requests_leave_nothing(
    jobs: Running, client: MinIOClient, job_id: str, what: str
) -> None:
    """A 4xx that says what was expected, and no object in the store."""
    body, status = BAD[what]
    answer = jobs.client.post("/v1/jobs", json={"job_id": job_id} | body)
    assert answer.status_code == status, answer.text
    assert answer.json()["success"] is False
    assert answer.json()["detail"]
    assert not list(client.list(client.config.buckets.jobs, f"{job_id}/"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/..%2f..%2fetc", 404),
        ("/v1/jobs/a%20b", 422),
        ("/v1/jobs/nobody/chunks/0", 422),
        ("/v1/jobs/nobody/chunks/-1", 422),
        ("/v1/jobs/nobody/chunks/1000000000", 404),
        ("/v1/jobs/nobody/resume", 404),
        ("/v1/jobs/nobody/merge", 404),
    ],
)
def test_bad_paths(jobs: Running, path: str, status: int) -> None:
    """Ids that are none and chunks that cannot be are refused, not looked for."""
    method = "GET" if path.count("/") == 3 else "POST"
    assert jobs.client.request(method, path).status_code == status


def test_odd_texts(jobs: Running, job_id: str) -> None:
    """NULs, a megabyte without a sentence, a zip: a book or a 422, never a 5xx."""
    for text in ("Um\x00dois.", "a" * 1_000_000, "\x00", "Fim. " * 10_000):
        answer = jobs.client.post("/v1/plan", json={"text": text})
        assert answer.status_code in {200, 422}, answer.text[:500]
    bomb = b"PK\x03\x04" + bytes(range(256)) * 40
    sent = jobs.client.post("/v1/jobs", files={"file": ("bomb.zip", bomb)})
    assert sent.status_code == 422


def test_nothing_is_unpacked(jobs: Running) -> None:
    """A packed body is refused before it is looked at: there is no bomb to go off."""
    packed = gzip.compress(b'{"text": "' + b"a" * 10_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for path in ("/v1/jobs", "/v1/plan"):
        assert jobs.client.post(path, content=packed, headers=headers).status_code == 415
    plain = jobs.client.post("/v1/jobs", content=b"Um.", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    large = jobs.client.post("/v1/jobs", content=b" " * 17 * 2**20)
    assert large.status_code == 413


def test_a_store_that_goes_away_comes_back(
    client: MinIOClient, job_id: str, tmp_path: Path
) -> None:
    """Meanwhile 503 with Retry-After; then the job under way is completed without a restart."""
    gate = Gate(free=1)
    with (
        proxied(client.config) as (config, faults),
        running_jobs(MinIOClient(config), tmp_path, make_engine=gate) as jobs,
    ):
        jobs.client.post("/v1/jobs", json={"text": text_of(job_id, 4), "job_id": job_id})
        gate.await_begun(3)
        faults.swallow_answers = 10**6
        gate.opened.set()
        body = {"text": text_of(job_id), "job_id": f"{job_id}-new"}
        for refused in (
            jobs.client.get(f"/v1/jobs/{job_id}"),
            jobs.client.get("/v1/jobs"),
            jobs.client.post("/v1/jobs", json=body),
        ):
            assert refused.status_code == 503, refused.text
            assert refused.headers["Retry-After"]
        assert jobs.client.get("/readyz").status_code == 503
        assert jobs.client.get("/healthz").status_code == 200
        faults.swallow_answers = 0
        assert await_job(jobs, job_id)["chunks_completed"] == 4
        assert jobs.client.post("/v1/jobs", json=body).status_code == 202
        await_job(jobs, f"{job_id}-new")


def test_its_work_is_counted(own_client: MinIOClient, tmp_path: Path, job_id: str) -> None:
    """Chunks by what became of them, what they sound, how long that took, and what waits."""
    with running_jobs(own_client, tmp_path) as jobs:
        for name in (job_id, f"{job_id}-again"):
            jobs.client.post("/v1/jobs", json={"text": text_of(job_id, 3), "job_id": name})
            await_job(jobs, name)
        numbers = dict(
            line.rsplit(" ", 1)
            for line in jobs.client.get("/metrics").text.splitlines()
            if not line.startswith("#")
        )
    assert numbers['darkchannel_chunks_total{result="rendered"}'] == "3.0"
    assert numbers['darkchannel_chunks_total{result="reused"}'] == "3.0"
    assert float(numbers["darkchannel_audio_seconds_total"]) > 1
    assert float(numbers["darkchannel_synthesis_seconds_total"]) > 0
    assert numbers["darkchannel_queue_depth"] == "0.0"
