"""``POST /v1/audio/speech``, by the client that OpenAI publishes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.wav import decode_wav
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.production.speaking import plan_passage
from darkchannel.speech.tone import ToneEngine, decode_tones
from darkchannel.storage import MinIOClient
from tests.api.running import Running
from tests.api.speakers import Gate, await_ready, numbers, running_speech

if TYPE_CHECKING:  # two seconds for every process that collects the tests
    from openai import OpenAI

PARAGRAPHS = "\n\n".join(f"Este é o parágrafo número {n}, e termina aqui." for n in range(1, 9))
SAID = [f"Este é o parágrafo número {n}, e termina aqui." for n in range(1, 9)]
RATE = 24_000


@pytest.fixture(scope="module")
def api(speech: Running) -> Iterator[OpenAI]:
    import openai

    http = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(
        base_url=f"{speech.url}/v1", api_key="unused", http_client=http, max_retries=0
    ) as api:
        yield api


def decoded(data: bytes) -> list[str]:
    """What audio of any format says."""
    command = [find_ffmpeg(), "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "1"]
    pcm = subprocess.run(
        [*command, "-ar", str(RATE), "pipe:1"], input=data, capture_output=True, check=True
    ).stdout
    return tones(pcm)


def tones(pcm: bytes) -> list[str]:
    """What samples say."""
    return decode_tones(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768), RATE)


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_says_the_whole_text(api: OpenAI, kind: Any) -> None:
    """Each comes as its media type, and every sentence is in it, in order."""
    answer = api.audio.speech.create(
        model="tts-1",
        voice="tone-a",
        input=PARAGRAPHS,
        response_format=kind,
    )
    assert answer.response.headers["Content-Type"].startswith("audio/")
    if kind == "wav":
        decode_wav(answer.content)  # with a header that tells its length
    assert decoded(answer.content) == SAID


def test_samples_and_pauses_are_those_of_a_book(api: OpenAI) -> None:
    """PCM is 24 kHz, 16 bit, mono: the chunks, and after each the silence that a book has.

    Only the first sentence is a chunk by itself, so that it is heard soon.
    """
    text = f"Era uma vez. {PARAGRAPHS}"
    answer = api.audio.speech.create(
        model="tone", voice="tone-b", input=text, response_format="pcm", speed=1.5
    )
    engine = ToneEngine()
    options = RenderOptions(voice="tone-b", speed=1.5)
    chunks = plan_passage(text, options, engine).chunks
    book = plan_text(text.encode(), options, engine).chunks
    assert [len(chunk.utterances) for chunk in (book[0], *chunks[:2])] == [2, 1, 1]
    assert tuple(replace(chunk, index=chunk.index - 1) for chunk in chunks[2:]) == book[1:]
    said = [utterance for chunk in book for utterance in chunk.utterances]
    assert [utterance for chunk in chunks for utterance in chunk.utterances] == said
    spoken = sum(len(speech.samples) for speech in engine.synthesize(chunks))
    silence = sum(round(chunk.pause_after * RATE) for chunk in chunks)
    assert len(answer.content) == 2 * (spoken + silence)
    assert tones(answer.content) == ["Era uma vez.", *SAID]


def test_the_voice_decides_the_language(api: OpenAI) -> None:
    """An English voice reads English, unless another language is asked for."""

    def pcm(**more: object) -> bytes:
        return api.audio.speech.create(
            model="tts-1", voice="tone-c", input="The end.", response_format="pcm", extra_body=more
        ).content

    assert pcm() == pcm(language="en-US") != pcm(language="pt-BR")


@pytest.mark.parametrize("kind", ["pcm", "mp3"])
def test_the_first_audio_comes_before_the_last_is_spoken(
    client: MinIOClient, tmp_path: Path, kind: str
) -> None:
    """While the second chunk waits the first is heard; and the place in the line is given back."""
    gate = Gate(free=2)
    with running_speech(client, tmp_path, make_engine=gate, workers=1, queue=1) as running:
        await_ready(running)
        body = {"model": "tone", "voice": "tone-a", "input": PARAGRAPHS, "response_format": kind}
        with running.client.stream("POST", "/v1/audio/speech", json=body) as answer:
            blocks = answer.iter_bytes()
            begun = next(blocks)
            assert len(gate.begun) <= 3
            assert not gate.opened.is_set()
            gate.opened.set()
            rest = b"".join(blocks)
        assert len(gate.begun) == 9
        assert decoded(begun + rest) == SAID if kind == "mp3" else tones(begun + rest) == SAID
        for _ in range(3):
            assert running.client.post("/v1/audio/speech", json=body).status_code == 200


def test_who_stops_listening_stops_the_speaking(client: MinIOClient, tmp_path: Path) -> None:
    """A stream that is closed is not spoken to its end, and gives its place back."""
    gate = Gate(free=2)
    with running_speech(client, tmp_path, make_engine=gate, workers=1, queue=1) as running:
        await_ready(running)
        body = {"model": "tone", "voice": "tone-a", "input": PARAGRAPHS}
        with running.client.stream("POST", "/v1/audio/speech", json=body) as answer:
            next(answer.iter_bytes())
        time.sleep(0.2)
        gate.opened.set()
        time.sleep(0.2)
        assert len(gate.begun) <= 3  # the first word, the first chunk, and the one under way
        assert numbers(running, "darkchannel_queue_depth") == 0
        for _ in range(3):
            assert running.client.post("/v1/audio/speech", json=body).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"voice": "alloy"}, 422, "tone-a, tone-b"),
        ({"voice": {"id": "me"}}, 422, "voice"),
        ({"model": "gpt-5"}, 422, "'tone'"),
        ({"speed": 4.0}, 422, "speed"),
        ({"input": ""}, 422, "input"),
        ({"input": "x" * 20_001}, 422, "input"),
        ({"response_format": "wma"}, 422, "response_format"),
        ({"instructions": "Whisper."}, 422, "instructions"),
        ({"extra_body": {"language": "tlh"}}, 422, "pt-BR"),
    ],
)
def test_what_cannot_be_done_is_refused(
    api: OpenAI, wrong: dict[str, Any], status: int, words: str
) -> None:
    """No other voice, model, speed or format takes the place of the one asked for."""
    from openai import APIStatusError

    asked: dict[str, Any] = {"model": "tts-1", "voice": "tone-a", "input": "Oi."}
    with pytest.raises(APIStatusError) as refused:
        api.audio.speech.create(**(asked | wrong))
    assert refused.value.status_code == status
    assert words in refused.value.response.text
    assert len(str(refused.value)) > len("Error code: 422 - ")  # the client shows the sentence
