"""The speech service under load, without its store, and at its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.models import Chunk
from darkchannel.production.pool import speech_workers
from darkchannel.speech.engine import Engine, Speech
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import MinIOClient
from tests.api.running import Running
from tests.api.speakers import Gate, await_ready, chunk_request, numbers, running_speech
from tests.storage.proxy import proxied

PATH = "/synthesize-to-s3"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def await_depth(running: Running, depth: int) -> None:
    """Wait until that many chunks wait for their turn."""
    deadline = time.monotonic() + 10
    while numbers(running, "darkchannel_queue_depth") != depth:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_beyond_the_line_there_is_a_refusal(
    client: MinIOClient, job_id: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """With every place taken a request gets 503 and Retry-After at once; the others are served."""
    gate = Gate(free=1)
    with running_speech(client, tmp_path, make_engine=gate, workers=1, queue=2) as running:
        await_ready(running)
        served = [
            threads.submit(running.client.post, PATH, json=chunk_request(job_id, index))
            for index in (1, 2, 3)
        ]
        await_depth(running, 2)
        refused = running.client.post(PATH, json=chunk_request(job_id, 4))
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "EngineBusyError")
        assert int(refused.headers["Retry-After"]) > 0
        assert running.client.get("/readyz").status_code == 200
        gate.opened.set()
        assert [future.result().status_code for future in served] == [200] * 3
        assert numbers(running, 'darkchannel_chunks_total{result="refused"}') == 1
        assert running.client.post(PATH, json=chunk_request(job_id, 4)).status_code == 200


def test_nothing_is_rendered_for_who_has_left(
    client: MinIOClient, job_id: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """Who leaves while waiting is not served; what was begun is finished and kept."""
    gate = Gate(free=1)
    with running_speech(client, tmp_path, make_engine=gate, workers=1) as running:
        await_ready(running)

        def ask_and_leave(index: int, text: str, seconds: float) -> None:
            with pytest.raises(httpx.ReadTimeout):
                running.client.post(PATH, json=chunk_request(job_id, index, text), timeout=seconds)

        begun = threads.submit(ask_and_leave, 1, "Começado.", 0.5)
        gate.await_begun(2)
        waiting = threads.submit(ask_and_leave, 2, "Abandonado.", 0.3)
        await_depth(running, 1)
        begun.result()
        waiting.result()
        await_depth(running, 0)
        gate.opened.set()
        third = running.client.post(PATH, json=chunk_request(job_id, 3, "Último."))
        assert third.status_code == 200
        assert gate.begun[1:] == ["Começado.", "Último."]
        assert numbers(running, 'darkchannel_chunks_total{result="abandoned"}') == 1
        again = running.client.post(PATH, json=chunk_request(job_id, 1, "Começado."))
        assert again.json()["reused"] is True


def test_the_end_finishes_what_is_under_way(
    client: MinIOClient, job_id: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """Once stopping, new work gets 503, /readyz says so, and what was begun is answered."""
    gate = Gate(free=1)
    with running_speech(client, tmp_path, make_engine=gate, workers=1) as running:
        await_ready(running)
        begun = threads.submit(running.client.post, PATH, json=chunk_request(job_id))
        gate.await_begun(2)
        running.server.stop()
        assert running.client.post(PATH, json=chunk_request(job_id, 2)).status_code == 503
        assert "stopping" in running.client.get("/readyz").text
        assert running.client.get("/healthz").status_code == 200
        gate.opened.set()
        assert begun.result().json()["success"] is True
        await_end(running, 3)


def await_end(running: Running, seconds: float) -> None:
    """Wait until nobody listens any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{running.url}/healthz", trust_env=False)
        except httpx.HTTPError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_end_comes_within_its_grace_time(
    client: MinIOClient, job_id: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """Work that takes longer than that is let go of."""
    gate = Gate(free=1)
    with running_speech(
        client, tmp_path, make_engine=gate, workers=1, grace_seconds=0.3
    ) as running:
        await_ready(running)
        begun = threads.submit(running.client.post, PATH, json=chunk_request(job_id))
        gate.await_begun(2)
        running.server.stop()
        await_end(running, 3)
        error = begun.exception(timeout=5)
        gate.opened.set()
        assert isinstance(error, httpx.HTTPError) or begun.result().status_code == 500


def test_a_store_that_goes_away_comes_back(
    client: MinIOClient, job_id: str, tmp_path: Path
) -> None:
    """Meanwhile requests get 503 with Retry-After; then all is well again without a restart."""
    with (
        proxied(client.config) as (config, faults),
        running_speech(MinIOClient(config), tmp_path) as running,
    ):
        await_ready(running)
        faults.swallow_answers = 10**6
        refused = running.client.post(PATH, json=chunk_request(job_id))
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.json()["error"]["type"] == "StoreUnavailableError"
        time.sleep(1.1)  # an answer of the store counts for a second
        assert running.client.get("/readyz").status_code == 503
        assert running.client.get("/healthz").status_code == 200
        name = 'darkchannel_store_errors_total{kind="StoreUnavailableError"}'
        assert numbers(running, name) >= 1
        faults.swallow_answers = 0
        await_ready(running)
        assert running.client.post(PATH, json=chunk_request(job_id)).json()["success"] is True


def test_a_model_that_is_not_there_is_named(client: MinIOClient, tmp_path: Path) -> None:
    """The service is alive but not ready, and says what is missing."""
    with running_speech(client, tmp_path, make_engine=WithoutWeights) as running:
        deadline = time.monotonic() + 5
        while "no weights" not in (answer := running.client.get("/readyz")).text:
            assert time.monotonic() < deadline
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "EngineUnavailableError"
        assert running.client.get("/healthz").status_code == 200


class WithoutWeights(ToneEngine):
    """An engine that cannot be loaded."""

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """Refuse."""
        raise EngineUnavailableError("there are no weights", remedy="darkchannel models fetch")


class Mortal(ToneEngine):
    """An engine whose process dies of one word."""

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """Speak or die."""
        for chunk in chunks:
            if "fim" in chunk.text:
                os._exit(9)
            yield from super().synthesize([chunk])


def mortal() -> Engine:
    """Built in worker processes."""
    return Mortal()


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(client: MinIOClient, job_id: str, tmp_path: Path) -> None:
    """A chunk that kills its worker gets 503; the next one is spoken by a new worker."""
    with running_speech(
        client, tmp_path, make_engine=mortal, workers=1, pool=speech_workers
    ) as running:
        await_ready(running)
        died = running.client.post(PATH, json=chunk_request(job_id, 1, "O fim."))
        assert (died.status_code, died.json()["error"]["type"]) == (503, "EngineUnavailableError")
        assert running.client.post(PATH, json=chunk_request(job_id, 2)).status_code == 200


@pytest.mark.slow
def test_the_command_serves_until_it_is_told_to_stop(
    client: MinIOClient, job_id: str, tmp_path: Path
) -> None:
    """The real process, on the store of its environment: ready, useful, and gone with code 0."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MINIO_")},
        "DARKCHANNEL_DATA_DIR": str(tmp_path),
        "MINIO_ENDPOINT": client.config.endpoint,
        "MINIO_ACCESS_KEY": client.config.credentials.access_key,
        "MINIO_SECRET_KEY": client.config.credentials.secret_key,
    }
    command = [sys.executable, "-m", "darkchannel", "serve", "speech", "--engine", "tone"]
    with subprocess.Popen(
        [*command, "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        lines = []
        for text in process.stderr:
            lines.append(json.loads(text))
            if "port" in lines[-1]:
                break
        with httpx.Client(
            base_url=f"http://127.0.0.1:{lines[-1]['port']}", trust_env=False
        ) as http:
            assert http.post(PATH, json=chunk_request(job_id), timeout=20).status_code == 200
            process.send_signal(signal.SIGTERM)
            lines += [json.loads(text) for text in process.stderr]
        assert process.wait(10) == 0
    told = next(line for line in lines if line["message"] == "request")
    assert (told["job_id"], told["chunk"], told["status"]) == (job_id, 1, 200)
    refused = subprocess.run(
        [*command, "--host", "0.0.0.0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 2
    assert "API key" in refused.stderr
