"""Which pool of workers speaks with which engine."""

from __future__ import annotations

import functools
from concurrent.futures import Future
from dataclasses import replace

import pytest

from darkchannel.config import Settings, StoreConfig
from darkchannel.engines import fetch_weights, speakers
from darkchannel.models import Chunk, Utterance
from darkchannel.production.pool import speech_process, speech_threads, speech_workers
from darkchannel.production.speaking import speak
from darkchannel.speech.engine import Speech
from tests.speech.real_kokoro import require, settings


@pytest.mark.parametrize(
    ("engine", "runtime", "pool", "lanes"),
    [
        ("tone", None, speech_threads, 1),
        ("http://speech:8001", None, speech_threads, 1),
        ("kokoro", "float32", speech_workers, 1),
        ("kokoro", "onnxruntime", speech_workers, 1),
        ("kokoro", "openvino", speech_process, 3),
        ("openvoice", "openvino", speech_process, 3),
    ],
)
def test_engines_have_the_workers_that_suit_them(
    store_config: StoreConfig, engine: str, runtime: str | None, pool: object, lanes: int
) -> None:
    """Threads for what hardly computes, one process for what shares, else a process each."""
    require(runtime)
    chosen = replace(Settings.from_environment(), kokoro_runtime=runtime)
    spec, make_pool = speakers(engine, chosen, 3, store=store_config)
    assert isinstance(make_pool, functools.partial)
    assert (make_pool.func, make_pool.args) == (pool, (3,))
    assert (spec.lanes, spec.threads) == (lanes, 1)


@pytest.mark.acceptance
@pytest.mark.timeout(300)
def test_lanes_of_one_process_speak_as_a_process_each_does(store_config: StoreConfig) -> None:
    """The same chunks on OpenVINO: two at a time in one process, and one in one."""
    require("openvino")
    chosen = replace(settings(), kokoro_runtime="openvino")
    fetch_weights(chosen, "kokoro")
    texts = ("O farol acendeu.", "Ninguém viu o barco chegar à ilha.", "Boa noite, capitão.")
    chunks = [
        Chunk(index, (Utterance(text, text, "pt-BR"),), "pf_dora", "pt-BR", 1.0, 0, 0.0, "digest")
        for index, text in enumerate(texts, start=1)
    ]
    spoken: list[list[Speech]] = []
    for count in (2, 1):
        spec, make_pool = speakers("kokoro", chosen, count, store=store_config)
        with make_pool() as executor:
            futures: list[Future[tuple[Speech, float]]] = [
                executor.submit(speak, spec, chunk) for chunk in chunks
            ]
            spoken.append([future.result()[0] for future in futures])
    for ours, theirs in zip(*spoken, strict=True):
        assert ours.token_times == theirs.token_times
        assert len(ours.samples) == len(theirs.samples)
