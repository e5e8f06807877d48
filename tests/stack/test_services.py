"""The speech services and the jobs API of the stack, as docs/stack.md shows them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.wav import encode_wav
from darkchannel.storage import MinIOClient
from tests.docs.test_commands import blocks
from tests.speech.openvoice.seeded import RATE, SMALL, voiced
from tests.stack.conftest import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

TEXT = "A porta estava aberta. Ninguém respondeu, e o vento entrou pela casa."


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """The jobs API, with its key."""
    headers = {"Authorization": f"Bearer {stack.settings['JOBS_API_KEY']}"}
    with httpx.Client(base_url=stack.jobs_api, headers=headers, timeout=30) as client:
        yield client


def speech(stack: Stack, address: str) -> httpx.Client:
    """A speech service, with its key: this host reaches the storage network."""
    headers = {"Authorization": f"Bearer {stack.settings['SPEECH_API_KEY']}"}
    return httpx.Client(base_url=f"http://{address}:8001", headers=headers, timeout=120)


def shell(stack: Stack, block: str) -> str:
    """Run a block of the document where the stack is; gives what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8000", stack.jobs_api)],
        cwd=stack.folder,
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout


def ended(api: httpx.Client, job_id: str, seconds: float = 600) -> dict[str, Any]:
    """A job, once it has ended; the API may be away meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        except httpx.HTTPError:
            job = {"status": "unknown"}
        if job["status"] in {"completed", "failed", "cancelled"}:
            return job
        time.sleep(1)
    raise AssertionError(f"job {job_id} did not end")


def rendered(stack: Stack, address: str) -> float:
    """Chunks a speech service has rendered."""
    with speech(stack, address) as service:
        text = service.get("/metrics").raise_for_status().text
    found = re.search(r'^darkchannel_chunks_total{result="rendered"} (\S+)', text, re.MULTILINE)
    assert found, text
    return float(found[1])


def give_converter(stack: Stack) -> None:
    """Put a small converter where docs/stack.md expects one."""
    shutil.copytree(SMALL, stack.folder / "converter", dirs_exist_ok=True)


def seconds_of(file: Path) -> float:
    """How long the audio of a file is, decoded."""
    raw = ["-f", "s16le", "-ac", "1", "-ar", "8000", "-"]
    command = [find_ffmpeg(), "-v", "error", "-i", str(file), *raw]
    return len(subprocess.run(command, capture_output=True, check=True).stdout) / 16000


def test_the_example_is_rendered_by_curl_alone(stack: Stack) -> None:
    """The document's commands, in order, give the MP3 of the example chapter."""
    give_converter(stack)
    shown = [shell(stack, block) for block in blocks("docs/stack.md", "sh")]
    assert '"status":"completed"' in shown[1]
    assert seconds_of(stack.folder / "capitulo.mp3") > 60
    assert (stack.folder / ".jobs-api-key").stat().st_mode & 0o077 == 0
    assert "openvoice" in shown[-1]


def test_without_a_key_nobody_is_let_in(stack: Stack) -> None:
    """Neither by the API nor by a speech service; only their health is for everybody."""
    for base in (stack.jobs_api, f"http://{stack.address('kokoro')}:8001"):
        for path in ("/v1/jobs", "/voices", "/metrics"):
            assert httpx.get(base + path, timeout=10).status_code == 401
        assert httpx.get(base + "/healthz", timeout=10).status_code == 200


def test_chunks_go_to_every_replica(stack: Stack, api: httpx.Client) -> None:
    """With two Kokoro services behind one name, each renders some of a job."""
    stack.compose("up", "-d", "--wait", "--scale", "kokoro=2")
    addresses = stack.addresses("kokoro")
    assert len(addresses) == 2
    before = [rendered(stack, address) for address in addresses]
    text = "\n\n".join(f"Este é o parágrafo número {n}." for n in range(16))
    job_id = f"replicas-{uuid.uuid4().hex[:8]}"
    api.post("/v1/jobs", json={"text": text, "job_id": job_id}).raise_for_status()
    job = ended(api, job_id)
    assert job["status"] == "completed", job
    gained = [rendered(stack, a) - b for a, b in zip(addresses, before, strict=True)]
    assert sum(gained) == job["chunks_total"]
    assert min(gained) > 0


def test_a_killed_api_goes_on_with_its_jobs(stack: Stack, api: httpx.Client) -> None:
    """After kill -9 in the middle of a job the container is back, and the book complete."""
    text = "\n\n".join(f"O barco número {n} saiu cedo da ilha." for n in range(12))
    job_id = f"killed-{uuid.uuid4().hex[:8]}"
    api.post("/v1/jobs", json={"text": text, "job_id": job_id}).raise_for_status()
    deadline = time.monotonic() + 120
    while api.get(f"/v1/jobs/{job_id}").json()["chunks_completed"] < 3:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(int(stack.container("api")["State"]["Pid"]), signal.SIGKILL)
    job = ended(api, job_id)
    assert (job["status"], job["chunks_completed"]) == ("completed", job["chunks_total"])


def test_a_killed_speech_service_loses_nothing(stack: Stack, api: httpx.Client) -> None:
    """Its chunks are spoken by the other, or by itself when it is back."""
    text = "\n\n".join(f"A vela número {n} se apagou na sala." for n in range(12))
    job_id = f"voice-{uuid.uuid4().hex[:8]}"
    api.post("/v1/jobs", json={"text": text, "job_id": job_id}).raise_for_status()
    time.sleep(1)
    os.kill(int(stack.container("kokoro")["State"]["Pid"]), signal.SIGKILL)
    job = ended(api, job_id)
    assert (job["status"], job["chunks_completed"]) == ("completed", job["chunks_total"])
    stack.compose("up", "-d", "--wait")


def test_a_service_writes_its_chunk_with_its_own_key(stack: Stack) -> None:
    """`/synthesize-to-s3` puts the take into the store; the same again renders nothing."""
    body = {"text": TEXT, "job_id": f"n8n-{uuid.uuid4().hex[:8]}", "chunk_index": 1}
    with speech(stack, stack.address("kokoro")) as service:
        first = service.post("/synthesize-to-s3", json=body).raise_for_status().json()
        again = service.post("/synthesize-to-s3", json=body).raise_for_status().json()
    assert again == first | {"reused": True}
    stored = MinIOClient(stack.store("api")).get(first["bucket"], first["s3_key"])
    assert len(stored.data) == first["size_bytes"]


def test_a_cloned_voice_speaks(stack: Stack) -> None:
    """A recording put into the references bucket is a voice of the openvoice service."""
    store = MinIOClient(stack.store("api"))
    recording = encode_wav(voiced(6, 210, 2), RATE)
    store.put(store.config.buckets.refs, "voices/ana.wav", recording)
    give_converter(stack)
    (bring_up,) = (b for b in blocks("docs/stack.md", "sh") if "--profile openvoice" in b)
    shell(stack, bring_up)
    body = {"text": TEXT, "job_id": f"ana-{uuid.uuid4().hex[:8]}", "chunk_index": 1}
    try:
        with speech(stack, stack.address("openvoice")) as service:
            answer = service.post("/synthesize-to-s3", json=body | {"reference": "ana"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["duration_seconds"] > 1
    finally:
        stack.compose("--profile", "openvoice", "rm", "--stop", "--force", "openvoice")


def test_ten_jobs_at_once_are_ten_books(stack: Stack, api: httpx.Client) -> None:
    """Each is complete, and none has a chunk of another."""
    names = [f"livro-{n}-{uuid.uuid4().hex[:6]}" for n in range(10)]
    texts = ["\n\n".join(f"Livro {n}, página {m}." for m in range(3)) for n in range(10)]
    with ThreadPoolExecutor(10) as threads:
        sent = threads.map(
            lambda pair: api.post("/v1/jobs", json={"job_id": pair[0], "text": pair[1]}),
            zip(names, texts, strict=True),
        )
        assert [answer.status_code for answer in sent] == [202] * 10
        jobs = list(threads.map(lambda name: ended(api, name), names))
    assert {job["status"] for job in jobs} == {"completed"}
    store = MinIOClient(stack.store("api"))
    for name, job in zip(names, jobs, strict=True):
        keys = [info.key for info in store.list(store.config.buckets.jobs, f"{name}/chunks/")]
        assert len(keys) == job["chunks_total"] == job["chunks_completed"]
