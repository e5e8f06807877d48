"""What everything but inference costs of a 10-minute chapter."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import output_of, render_command
from benchmarks.table import Row
from benchmarks.texts import chapter
from darkchannel.config import Settings
from darkchannel.engines import EngineSpec, engine_spec, fetch_weights
from darkchannel.models import Chunk
from darkchannel.production.planning import plan_text
from darkchannel.production.pool import default_workers, speech_workers
from darkchannel.production.request import RenderOptions
from darkchannel.speech.engine import Engine

MINUTES = 10.0


def run() -> list[Row]:
    """Time the whole command, then its chunks alone on the same number of workers."""
    settings = Settings.from_environment()
    fetch_weights(settings, "kokoro")
    text = chapter(MINUTES)
    whole = _whole(text)
    inference, seconds = _inference_alone(text, engine_spec("kokoro", settings))
    share = 1 - inference / whole
    return [
        Row("audio", f"{seconds / 60:.1f} min", "about 10", 8 <= seconds / 60 <= 13),
        Row("whole command : real time", f"{whole / seconds:.2f}", "", True),
        Row("all that is not inference : whole command", f"{share:.1%}", "8%", share <= 0.08),
    ]


def _whole(text: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "chapter.txt"
        source.write_text(text, encoding="utf-8")
        options = ("--no-cache", "--job-id", f"bench-{uuid.uuid4().hex}")
        began = time.perf_counter()
        output_of(render_command(source, *options))
        return time.perf_counter() - began


@dataclass(frozen=True)
class Speak:
    """Speaks chunks and throws the samples away; gives seconds of audio."""

    make_engine: EngineSpec

    def __call__(self, chunk: Chunk) -> float:
        """Speak one chunk."""
        return next(iter(_engine(self.make_engine).synthesize([chunk]))).seconds


_engines: dict[EngineSpec, Engine] = {}


def _engine(make_engine: EngineSpec) -> Engine:
    if make_engine not in _engines:
        _engines[make_engine] = make_engine()
    return _engines[make_engine]


def _inference_alone(text: str, make_engine: EngineSpec) -> tuple[float, float]:
    options = RenderOptions()
    chunks: Sequence[Chunk] = plan_text(text.encode(), options, make_engine()).chunks
    with speech_workers(default_workers()) as executor:
        began = time.perf_counter()
        seconds = sum(executor.map(Speak(make_engine), chunks))
        return time.perf_counter() - began, seconds
