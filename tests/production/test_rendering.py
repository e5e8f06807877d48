"""Chunks on workers that fail, die or disappear."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError, SynthesisError
from darkchannel.models import Chunk
from darkchannel.production.pipeline import Production
from darkchannel.production.pool import speech_workers
from darkchannel.production.worker import EngineFactory
from darkchannel.speech.engine import Engine, Speech
from darkchannel.speech.tone import ToneEngine
from tests.api.speakers import Gate
from tests.production.conftest import request_for, stored_plan

Pool = Callable[[], AbstractContextManager[Executor]]


class TroubledEngine(ToneEngine):
    """A tone engine that meets with trouble at every chunk that says a certain word."""

    def __init__(self, word: str, trouble: Callable[[], None]) -> None:
        super().__init__()
        self._word = word
        self._trouble = trouble

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        for chunk in chunks:
            if self._word in chunk.spoken:
                self._trouble()
            yield from super().synthesize([chunk])


@dataclass(frozen=True)
class Troubled:
    """Builds a :class:`TroubledEngine`."""

    word: str
    trouble: Callable[[], None]

    def __call__(self) -> Engine:
        return TroubledEngine(self.word, self.trouble)


def refuse() -> None:
    raise SynthesisError("chunk 3 cannot be spoken", chunk=3)


def die() -> None:
    os._exit(9)


def die_once(marker: Path) -> None:
    if not marker.exists():
        marker.touch()
        os._exit(9)


def text_with_trouble(unique: str, word: str) -> str:
    """Eight chunks: four are longer than the troubled one, and so their turn comes before."""
    paragraphs = [f"Frase {number} de {unique}." for number in range(8)]
    paragraphs[4] += f" Aqui está {word}."
    for number in range(4):
        paragraphs[number] += " Ela é mais comprida do que as que vêm depois dela."
    return "\n\n".join(paragraphs)


def test_a_chunk_that_cannot_be_spoken_fails_the_job(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """The job fails and says which chunk and why; takes finished before are kept."""
    production = make_production(Troubled("azar", refuse))
    request = request_for(text_with_trouble(unique, "azar"), job_id=f"fail-{unique}")
    with pytest.raises(SynthesisError):
        production.render(request)
    job = production.jobs.get_job_metadata(f"fail-{unique}")
    assert job["status"] == "failed"
    assert job["error"] == {
        "type": "SynthesisError",
        "message": "chunk 3 cannot be spoken",
        "chunk": 3,
    }
    mended = make_production(Troubled("nothing", refuse)).render(request)
    assert mended.chunks_reused >= 4


def test_the_longest_chunks_are_spoken_first(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """So workers end together."""
    spoken = Gate(free=8)
    production = make_production(spoken)
    job = production.render(request_for(text_with_trouble(unique, "nada"))).job_id
    tokens = {chunk.text: chunk.tokens for chunk in stored_plan(production, job).chunks}
    assert len(spoken.begun) == len(tokens) == 8
    assert [tokens[said] for said in spoken.begun] == sorted(tokens.values(), reverse=True)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(
    make_production: Callable[[EngineFactory], Production], unique: str, tmp_path: Path
) -> None:
    """A worker that is killed, for want of memory say, costs only the chunks in the making."""
    production = replace(
        make_production(Troubled("morte", partial(die_once, tmp_path / "died"))),
        pool=partial(speech_workers, 2),
    )
    result = production.render(request_for(text_with_trouble(unique, "morte")))
    assert (tmp_path / "died").exists()
    assert result.chunks_total == 8


@pytest.mark.slow
def test_workers_that_keep_dying_end_the_run(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """A chunk that kills every worker fails the job with advice, not with an endless loop."""
    production = replace(make_production(Troubled("morte", die)), pool=partial(speech_workers, 2))
    request = request_for(text_with_trouble(unique, "morte"), job_id=f"dying-{unique}")
    with pytest.raises(EngineUnavailableError, match="died"):
        production.render(request)
    assert production.jobs.get_job_metadata(f"dying-{unique}")["status"] == "failed"
