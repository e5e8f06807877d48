"""Chunks rendered by somebody else: the jobs API and a speech service, as n8n uses them."""

from __future__ import annotations

from tests.api.jobs_api import await_job, text_of
from tests.api.running import Running
from tests.api.speakers import await_ready, chunk_request


def test_an_orchestrator_makes_a_book(jobs: Running, speech: Running, job_id: str) -> None:
    """Plan, render each chunk on a speech service, register, merge: the book is made."""
    await_ready(speech)
    body = {"text": text_of(job_id, 3), "job_id": job_id, "render": "external"}
    created = jobs.client.post("/v1/jobs", json=body)
    assert (created.status_code, created.json()["chunks_total"]) == (202, 3)
    chunks = jobs.client.post("/v1/plan", json={"text": body["text"]}).json()["chunks"]
    for number, chunk in enumerate(chunks, start=1):
        early = jobs.client.post(f"/v1/jobs/{job_id}/merge")
        assert early.status_code == 409
        assert early.json()["error"]["chunk"] == number
        assert early.json()["detail"].endswith(" " + ", ".join(map(str, range(number, 4))))
        missing = jobs.client.post(f"/v1/jobs/{job_id}/chunks/{number}")
        assert missing.status_code == 404
        answer = speech.client.post(
            "/synthesize-to-s3", json=chunk_request(job_id, number, chunk["text"])
        )
        assert answer.status_code == 200, answer.text
        for _ in range(2):
            registered = jobs.client.post(f"/v1/jobs/{job_id}/chunks/{number}")
            assert registered.status_code == 200, registered.text
            assert registered.json()["chunks_completed"] == number
    assert jobs.client.get(f"/v1/jobs/{job_id}").json()["status"] == "processing"
    for _ in range(2):
        assert jobs.client.post(f"/v1/jobs/{job_id}/merge").status_code == 202
    job = await_job(jobs, job_id)
    assert job["chunks_completed"] == 3
    assert jobs.client.get(f"/v1/jobs/{job_id}/download-url").status_code == 200


def test_a_job_rendered_here_takes_no_chunks(jobs: Running, job_id: str) -> None:
    """Registering and merging are for jobs that were asked for as external."""
    jobs.client.post("/v1/jobs", json={"text": text_of(job_id, 1), "job_id": job_id})
    assert jobs.client.post(f"/v1/jobs/{job_id}/chunks/1").status_code == 409
    assert jobs.client.post(f"/v1/jobs/{job_id}/merge").status_code == 409
    await_job(jobs, job_id)
