"""Speech services for tests: of tones, and of tones that wait until they are let."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darkchannel.api.application import Service
from darkchannel.api.speech import speech_app
from darkchannel.models import Chunk
from darkchannel.production.pool import speech_threads
from darkchannel.production.speaking import SpeechParts
from darkchannel.production.worker import EngineFactory
from darkchannel.speech.engine import Engine, Speech
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import MinIOClient
from tests.api.running import Running, running_app, settings_in

TEXT = "A porta estava aberta."


@dataclass(eq=False)
class Gate:
    """Holds up every chunk after the first few until it is opened, and notes what was spoken."""

    free: int = 0
    opened: threading.Event = field(default_factory=threading.Event)
    begun: list[str] = field(default_factory=list)

    def __call__(self) -> Engine:
        """An engine behind this gate."""
        return GatedTone(self)

    def await_begun(self, count: int) -> None:
        """Wait until that many chunks have been begun."""
        deadline = time.monotonic() + 10
        while len(self.begun) < count:
            assert time.monotonic() < deadline, self.begun
            time.sleep(0.005)


class GatedTone(ToneEngine):
    """Speaks tones when its gate lets it."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """Wait, then speak."""
        for chunk in chunks:
            self._gate.begun.append(chunk.text)
            if len(self._gate.begun) > self._gate.free:
                assert self._gate.opened.wait(20)
            yield from super().synthesize([chunk])


@contextmanager
def running_speech(
    client: MinIOClient,
    folder: Path,
    *,
    make_engine: EngineFactory = ToneEngine,
    workers: int = 2,
    pool: Callable[[int], AbstractContextManager[Executor]] = speech_threads,
    **http: object,
) -> Iterator[Running]:
    """A speech service that is ready."""
    service = Service.from_settings(settings_in(folder, **http))
    parts = SpeechParts(
        make_engine=make_engine,
        pool=functools.partial(pool, workers),
        workers=workers,
        client=client,
    )
    with running_app(speech_app(service, parts), service) as running:
        yield running


def await_ready(running: Running) -> None:
    """Wait until a service says that it is ready."""
    deadline = time.monotonic() + 20
    while (answer := running.client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.02)


def chunk_request(job_id: str, index: int = 1, text: str = TEXT, **more: Any) -> dict[str, Any]:
    """The body of a request for a chunk."""
    return {"job_id": job_id, "chunk_index": index, "text": text, **more}


def numbers(running: Running, name: str) -> float:
    """One number of ``/metrics``; 0 if it is not there yet."""
    for line in running.client.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0
