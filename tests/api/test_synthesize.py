"""``POST /synthesize-to-s3``: one chunk, straight into the store."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from darkchannel.audio.wav import decode_wav
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.production.worker import take_of_object
from darkchannel.speech.tone import ToneEngine, decode_tones
from darkchannel.storage import MinIOClient
from tests.api.running import Running
from tests.api.speakers import Gate, chunk_request, numbers, running_speech

PATH = "/synthesize-to-s3"
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "capitulo.txt"


def said_in(data: bytes) -> list[str]:
    """What a take of tones says."""
    samples, rate = decode_wav(data)
    return decode_tones(samples.astype(np.float32) / np.float32(32767), rate)


def test_a_chunk_is_spoken_into_the_store(
    speech: Running, client: MinIOClient, job_id: str
) -> None:
    """The answer says where the take lies, and it is there, whole, and says the text."""
    answer = speech.client.post(PATH, json=chunk_request(job_id, 7, "Três portas abertas."))
    assert answer.status_code == 200
    facts = answer.json()
    bucket = client.config.buckets.jobs
    key = f"{job_id}/chunks/chunk-00007.wav"
    assert (facts["success"], facts["bucket"], facts["s3_key"]) == (True, bucket, key)
    assert facts["s3_url"] == f"s3://{bucket}/{key}"
    data = client.get(bucket, key).data
    assert facts["size_bytes"] == len(data)
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    samples, rate = decode_wav(data)
    assert facts["duration_seconds"] == round(len(samples) / rate, 3)
    assert facts["reused"] is False
    assert said_in(data) == ["Três portas abertas."]


def test_the_same_again_renders_nothing(speech: Running, job_id: str) -> None:
    """The same request gives the same key, marked as reused."""
    before = numbers(speech, 'darkchannel_chunks_total{result="rendered"}')
    first = speech.client.post(PATH, json=chunk_request(job_id)).json()
    again = speech.client.post(PATH, json=chunk_request(job_id)).json()
    assert again == first | {"reused": True}
    assert numbers(speech, 'darkchannel_chunks_total{result="rendered"}') == before + 1


@pytest.mark.parametrize(
    "other", [{"text": "Outra frase."}, {"voice": "tone-b"}, {"speed": 1.5}, {"language": "en-US"}]
)
def test_another_take_under_the_key_is_a_conflict(
    speech: Running, client: MinIOClient, job_id: str, other: dict[str, Any]
) -> None:
    """What lies there stays, unless it is to be replaced."""
    first = speech.client.post(PATH, json=chunk_request(job_id)).json()
    refused = speech.client.post(PATH, json=chunk_request(job_id) | other)
    assert refused.status_code == 409
    assert "replace" in refused.json()["remedy"]
    key, bucket = first["s3_key"], first["bucket"]
    assert hashlib.sha256(client.get(bucket, key).data).hexdigest() == first["sha256"]
    replaced = speech.client.post(PATH, json=chunk_request(job_id, replace=True) | other).json()
    assert (replaced["s3_key"], replaced["reused"]) == (key, False)
    assert replaced["sha256"] != first["sha256"]
    assert hashlib.sha256(client.get(bucket, key).data).hexdigest() == replaced["sha256"]


def test_something_else_under_the_key_is_not_overwritten(
    speech: Running, client: MinIOClient, job_id: str
) -> None:
    """An object that is no take of ours is a conflict too."""
    bucket, key = client.config.buckets.jobs, f"{job_id}/chunks/chunk-00001.wav"
    client.put(bucket, key, b"somebody's recording")
    assert speech.client.post(PATH, json=chunk_request(job_id)).status_code == 409
    assert client.get(bucket, key).data == b"somebody's recording"


def test_takes_are_those_a_job_would_make(
    speech: Running, client: MinIOClient, job_id: str
) -> None:
    """Each chunk of a plan, sent as text, becomes the take that the plan asks for."""
    plan = plan_text(EXAMPLE.read_bytes(), RenderOptions(), ToneEngine())
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda chunk: speech.client.post(
                    PATH, json=chunk_request(job_id, chunk.index, chunk.text)
                ),
                plan.chunks,
            )
        )
    for chunk, answer in zip(plan.chunks, answers, strict=True):
        assert answer.status_code == 200, answer.text
        take = take_of_object(
            client.head(client.config.buckets.jobs, answer.json()["s3_key"]), chunk
        )
        assert take is not None
        assert take.sha256 == answer.json()["sha256"]


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "a megabyte of text": ({"text": "palavra " * 131072}, 413, "InputError"),
    "more text than a chunk": ({"text": "palavra " * 2000}, 422, "InputError"),
    "more than the engine's limit": ({"text": "palavra " * 200}, 422, "ScriptError"),
    "two paragraphs": ({"text": "Um.\n\nDois."}, 422, "ScriptError"),
    "nothing": ({"text": ""}, 422, "InputError"),
    "nothing to say": ({"text": "…"}, 422, "ScriptError"),
    "NULs": ({"text": "a\0b"}, 422, "ScriptError"),
    "broken SSML": ({"text": "<speak><p>Oi</speak>"}, 422, "ScriptError"),
    "half a character": ({"text": "\ud800"}, 422, "InputError"),
    "an unknown voice": ({"voice": "tone-z"}, 422, "UnknownVoiceError"),
    "an unknown language": ({"language": "tlh"}, 422, "UnknownLanguageError"),
    "index 0": ({"chunk_index": 0}, 422, "InputError"),
    "index -1": ({"chunk_index": -1}, 422, "InputError"),
    "index 10^9": ({"chunk_index": 10**9}, 422, "InputError"),
    "index as text": ({"chunk_index": "1"}, 422, "InputError"),
    "a way out": ({"job_id": "../other"}, 422, "InputError"),
    "an escaped way out": ({"job_id": "..%2fother"}, 422, "InputError"),
    "a folder": ({"job_id": "a/b"}, 422, "InputError"),
    "a new line": ({"job_id": "a\n"}, 422, "InputError"),
    "too fast": ({"speed": 4.0}, 422, "InputError"),
    "a pitch": ({"pitch": 2}, 422, "InputError"),
    "an unknown recording": ({"reference": "me.wav"}, 422, "UnknownVoiceError"),
    "a recording that is a voice": ({"reference": "tone-a"}, 422, "InputError"),
    "a voice and a recording": ({"reference": "a", "voice": "tone-a"}, 422, "InputError"),
    "an unknown field": ({"txt": "x"}, 422, "InputError"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_and_nothing_written(
    speech: Running, client: MinIOClient, job_id: str, name: str
) -> None:
    """Each has its status and names its kind; the store stays as it was."""
    wrong, status, kind = BAD[name]
    body = json.dumps(chunk_request(job_id) | wrong)
    answer = speech.client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind), answer.text
    assert len(answer.content) < 5000
    assert list(client.list(client.config.buckets.jobs, job_id)) == []


def test_two_services_write_one_take(client: MinIOClient, job_id: str, tmp_path: Path) -> None:
    """Both render at once and both answer; one object lies there, and both name its digest."""
    gate = Gate(free=2)
    with (
        running_speech(client, tmp_path / "a", make_engine=gate, workers=1) as one,
        running_speech(client, tmp_path / "b", make_engine=gate, workers=1) as two,
        ThreadPoolExecutor(2) as threads,
    ):
        futures = [
            threads.submit(each.client.post, PATH, json=chunk_request(job_id))
            for each in (one, two)
        ]
        gate.await_begun(4)  # the first word of each model, and the chunk twice
        gate.opened.set()
        facts = [future.result().json() for future in futures]
    assert sorted(fact["reused"] for fact in facts) == [False, True]
    data = client.get(client.config.buckets.jobs, facts[0]["s3_key"]).data
    assert {fact["sha256"] for fact in facts} == {hashlib.sha256(data).hexdigest()}


def test_many_clients_lose_nothing(speech: Running, client: MinIOClient, job_id: str) -> None:
    """64 clients at once: each gets its own chunk, by the text that it says."""
    limits = httpx.Limits(max_connections=64)
    with (
        httpx.Client(base_url=speech.url, limits=limits, timeout=30, trust_env=False) as many,
        ThreadPoolExecutor(64) as threads,
    ):

        def ask(index: int) -> httpx.Response:
            text = f"Este é o pedaço número {index}."
            return many.post(PATH, json=chunk_request(job_id, index, text))

        answers = list(threads.map(ask, range(1, 65)))
    assert [answer.status_code for answer in answers] == [200] * 64
    keys = [answer.json()["s3_key"] for answer in answers]
    assert len(set(keys)) == 64
    for key in (keys[0], keys[31], keys[63]):
        assert said_in(client.get(client.config.buckets.jobs, key).data)[0].startswith("Este é")


def test_ssml_is_read_as_render_reads_it(speech: Running, client: MinIOClient, job_id: str) -> None:
    """Substitutions are said."""
    text = '<speak>O <sub alias="doutor">Dr.</sub> Silva chegou.</speak>'
    facts = speech.client.post(PATH, json=chunk_request(job_id, text=text)).json()
    data = client.get(facts["bucket"], facts["s3_key"]).data
    assert said_in(data) == ["O doutor Silva chegou."]


def test_voices_are_listed(speech: Running) -> None:
    """With their language and which is its default."""
    voices = {voice["name"]: voice for voice in speech.client.get("/voices").json()}
    assert voices["tone-a"] == {"name": "tone-a", "language": "pt-BR", "default": True}
    assert voices["tone-b"]["default"] is False
