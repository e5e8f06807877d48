"""Text to MP3 against kokoro-onnx: the same voice, text, cores and FFmpeg.

It computes the published 8-bit graph, and so does the project where it is asked to: that row
tells what the pipeline gains, the others what the project's own runtime adds to it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.commands import output_of, render_command
from benchmarks.kokoro_material import published, ready, with_runtime
from benchmarks.table import Row
from benchmarks.texts import EXAMPLE, chapter
from darkchannel.composition import engine_spec
from darkchannel.config import Settings
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.speech.kokoro.runtime import DEFAULT, RUNTIMES
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_WIDTH, voice_file

PAIRS = 2
VOICE = "pf_dora"
MINUTES = 1.0
"""Of the short text: what is paid once, whatever the length, counts most there."""


def run() -> list[Row]:
    """Run each way in turn, as whole processes, and compare pair by pair."""
    settings = ready()
    what = "kokoro-onnx 0.6.1 : darkchannel, wall time"
    whole = _ratios(settings, EXAMPLE.read_text(encoding="utf-8"), RUNTIMES)
    short = _ratios(settings, chapter(MINUTES), (DEFAULT,))
    others = [name for name in RUNTIMES if name != DEFAULT]
    return [
        _row(what, whole[DEFAULT]),
        *(_row(f"{what}, ours with {name}", whole[name]) for name in others),
        _row(f"{what}, the first minute alone", short[DEFAULT]),
    ]


def _row(what: str, ratios: Sequence[float]) -> Row:
    ratio = statistics.median(ratios)
    told = f"{what} ({min(ratios):.2f} to {max(ratios):.2f})"
    return Row(told, f"{ratio:.2f}", "at least 1", ratio >= 1)


def _ratios(settings: Settings, text: str, runtimes: Sequence[str]) -> dict[str, list[float]]:
    """Wall time of the peer against ours with each of the runtimes, pair by pair."""
    ratios: dict[str, list[float]] = {name: [] for name in runtimes}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        peer = _peer(settings, text, folder)
        source = folder / "chapter.txt"
        source.write_text(text, encoding="utf-8")
        for _ in range(PAIRS):
            ours = {name: _seconds(_ours(source, name)) for name in runtimes}
            theirs = _seconds(peer)
            for name, taken in ours.items():
                ratios[name].append(theirs / taken)
    return ratios


def _ours(source: Path, runtime: str) -> list[str]:
    options = ("--no-cache", "--job-id", f"bench-{uuid.uuid4().hex}")
    return with_runtime(runtime, render_command(source, *options))


def _peer(settings: Settings, text: str, folder: Path) -> list[str]:
    """The command of the peer, with the files that it reads put into a folder."""
    table = KOKORO.folder(settings.data_dir) / voice_file(VOICE)
    style = np.fromfile(table, np.float32).reshape(-1, 1, STYLE_WIDTH)
    np.savez(folder / "voices.npz", allow_pickle=False, **{VOICE: style})
    plan = plan_text(text.encode(), RenderOptions(), engine_spec("kokoro", settings)())
    sentences = folder / "sentences.txt"
    sentences.write_text(
        "\n".join(u.spoken for chunk in plan.chunks for u in chunk.utterances), encoding="utf-8"
    )
    command = [sys.executable, "-m", "benchmarks.peer_kokoro_onnx"]
    command += [str(published(settings.data_dir)), str(folder / "voices.npz"), VOICE]
    return [*command, str(sentences), str(folder / "peer.mp3")]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    output_of(command)
    return time.perf_counter() - began
