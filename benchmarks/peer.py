"""Text to MP3 against kokoro-onnx: the same weights, text, cores and FFmpeg."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from benchmarks.commands import output_of, render_command
from benchmarks.table import Row
from benchmarks.texts import EXAMPLE
from darkchannel.composition import engine_spec, fetch_weights
from darkchannel.config import Settings
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.speech.kokoro.weights import KOKORO, WEIGHTS, voice_file

PAIRS = 2
VOICE = "pf_dora"


def run() -> list[Row]:
    """Run both in turn, as whole processes, and compare pair by pair."""
    settings = Settings.from_environment()
    fetch_weights(settings, "kokoro")
    models = KOKORO.folder(settings.data_dir)
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = np.fromfile(models / voice_file(VOICE), np.float32).reshape(-1, 1, 256)
        np.savez(folder / "voices.npz", allow_pickle=False, **{VOICE: style})
        plan = plan_text(EXAMPLE.read_bytes(), RenderOptions(), engine_spec("kokoro", settings)())
        sentences = folder / "sentences.txt"
        sentences.write_text(
            "\n".join(u.spoken for chunk in plan.chunks for u in chunk.utterances),
            encoding="utf-8",
        )
        peer = [sys.executable, "-m", "benchmarks.peer_kokoro_onnx", str(models / WEIGHTS)]
        peer += [str(folder / "voices.npz"), VOICE, str(sentences), str(folder / "peer.mp3")]
        source = folder / "chapter.txt"
        source.write_bytes(EXAMPLE.read_bytes())
        for _ in range(PAIRS):
            options = ("--no-cache", "--job-id", f"bench-{uuid.uuid4().hex}")
            ours = _seconds(render_command(source, *options))
            ratios.append(_seconds(peer) / ours)
    ratio = statistics.median(ratios)
    what = f"kokoro-onnx 0.6.1 : darkchannel, wall time ({min(ratios):.2f} to {max(ratios):.2f})"
    return [Row(what, f"{ratio:.2f}", "at least 1", ratio >= 1)]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    output_of(command)
    return time.perf_counter() - began
