"""Text to MP3 against other tools: the same voice, text and cores, whole processes, in turn.

kokoro-onnx computes the published 8-bit graph, and so does the project where it is asked to: that
row tells what the pipeline gains, the others what the project's own runtime adds to it.
kokoro-tts is built on kokoro-onnx and refuses Portuguese, so it reads English.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.speech.whisper import WHISPER_RATE, transcribe, word_error_rate

from benchmarks.commands import output_of, render_command
from benchmarks.kokoro_material import published, ready, with_runtime
from benchmarks.table import Row
from benchmarks.texts import ENGLISH, EXAMPLE, chapter
from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.config import Settings
from darkchannel.engines import engine_spec
from darkchannel.production.planning import plan_text
from darkchannel.production.request import RenderOptions
from darkchannel.speech.kokoro.runtime import choose, cpu_flags
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_WIDTH, voice_file

PAIRS = 2
PUBLISHED = "onnxruntime"
"""The runtime that computes the published 8-bit graph, as the peers do."""

VOICE, ENGLISH_VOICE = "pf_dora", "af_heart"
LONG_MINUTES, SHORT_MINUTES = 10.0, 1.0
"""What is paid once, whatever the length, counts most in the short text."""

KOKORO_TTS = "kokoro-tts==2.3.2"
"""In an environment of its own: it wants another version of kokoro-onnx.  Needs PortAudio, which
it only plays with (Debian: ``apt-get install libportaudio2``)."""

LEAST_WITH_AMX = (5.5, 3.3)
"""Times as fast as a peer, in the long text and in the short one, on CPUs that have it; on others
at least as fast."""


def run() -> list[Row]:
    """Run each way in turn, and compare pair by pair."""
    if importlib.util.find_spec("kokoro_onnx") is None:
        sys.exit("kokoro-onnx is not installed: run `uv sync --all-extras --group bench` first")
    settings = ready()
    example = EXAMPLE.read_text(encoding="utf-8")
    default = choose(None).runtime
    whole = _against_kokoro_onnx(settings, chapter(LONG_MINUTES), (default, PUBLISHED))
    short = _against_kokoro_onnx(settings, chapter(SHORT_MINUTES), (default,))
    english = ENGLISH.read_text(encoding="utf-8")
    long, brief = LEAST_WITH_AMX if "amx_int8" in cpu_flags() else (1.0, 1.0)
    what = "kokoro-onnx 0.6.1 : darkchannel, wall time"
    return [
        _row(f"{what}, 10 minutes of text", whole[default], long),
        _row(f"{what}, 10 minutes, ours with {PUBLISHED}", whole[PUBLISHED], 1.0),
        _row(f"{what}, 1 minute", short[default], brief),
        _row(f"{KOKORO_TTS} : darkchannel, 1 minute", _against_kokoro_tts(english), brief),
        _row(f"{KOKORO_TTS}, 10 minutes", _against_kokoro_tts("\n\n".join([english] * 10)), long),
        _words(settings, example),
    ]


def _row(what: str, ratios: Sequence[float], least: float) -> Row:
    ratio = statistics.median(ratios)
    told = f"{what} ({min(ratios):.2f} to {max(ratios):.2f})"
    return Row(told, f"{ratio:.2f}", f"at least {least:g}", ratio >= least)


def _against_kokoro_onnx(
    settings: Settings, text: str, runtimes: Sequence[str]
) -> dict[str, list[float]]:
    """Wall time of the peer against ours with each of the runtimes, pair by pair."""
    ratios: dict[str, list[float]] = {name: [] for name in runtimes}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        peer = _kokoro_onnx(settings, text, folder)
        for _ in range(PAIRS):
            ours = {name: _seconds(with_runtime(name, _ours(text, folder))) for name in runtimes}
            theirs = _seconds(peer)
            for name, taken in ours.items():
                ratios[name].append(theirs / taken)
    return ratios


def _against_kokoro_tts(text: str) -> list[float]:
    """Wall time of the peer against ours with the default runtime, pair by pair."""
    settings = ready()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = folder / "peer.txt"
        source.write_text(text, encoding="utf-8")
        # `uv run`, which starts benchmarks, tells where it is; it need not be on the path.
        peer = [
            os.environ.get("UV", "uv"),
            "tool",
            "run",
            "--quiet",
            "--from",
            KOKORO_TTS,
            "kokoro-tts",
            str(source),
        ]
        peer += [str(folder / "peer.mp3"), "--format", "mp3", "--lang", "en-us"]
        peer += ["--voice", ENGLISH_VOICE, "--model", str(published(settings.data_dir))]
        peer += ["--voices", str(_voices(settings, ENGLISH_VOICE, folder))]
        options = ("--language", "en-US", "--voice", ENGLISH_VOICE)
        output_of([*peer[:7], "--help"])  # installs it
        ratios = []
        for _ in range(PAIRS):
            ours = _seconds(_ours(text, folder, *options))
            ratios.append(_seconds(peer) / ours)
            if not (folder / "peer.mp3").exists():
                sys.exit("kokoro-tts made no file")
    return ratios


def _words(settings: Settings, text: str) -> Row:
    """Words that Whisper base hears wrongly of the example chapter, read by both."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        output_of(_ours(text, folder))
        output_of(_kokoro_onnx(settings, text, folder))
        ours, theirs = (
            word_error_rate(text, transcribe(_sound(folder / name), WHISPER_RATE, "pt"))
            for name in ("ours.mp3", "peer.mp3")
        )
    what = "words of the example chapter heard wrongly by Whisper base; kokoro-onnx's"
    return Row(what, f"{ours:.1%}; {theirs:.1%}", "not above the peer's", ours <= theirs)


def _ours(text: str, folder: Path, *options: str) -> list[str]:
    source = folder / "ours.txt"
    source.write_text(text, encoding="utf-8")
    return render_command(source, "--no-cache", "--job-id", f"bench-{uuid.uuid4().hex}", *options)


def _kokoro_onnx(settings: Settings, text: str, folder: Path) -> list[str]:
    """The command of the peer, with the files that it reads put into a folder."""
    voices = _voices(settings, VOICE, folder)
    plan = plan_text(text.encode(), RenderOptions(), engine_spec("kokoro", settings)())
    sentences = folder / "sentences.txt"
    sentences.write_text(
        "\n".join(u.spoken for chunk in plan.chunks for u in chunk.utterances), encoding="utf-8"
    )
    command = [sys.executable, "-m", "benchmarks.peer_kokoro_onnx"]
    command += [str(published(settings.data_dir)), str(voices), VOICE]
    return [*command, str(sentences), str(folder / "peer.mp3")]


def _voices(settings: Settings, voice: str, folder: Path) -> Path:
    """A voice as the peers read it."""
    table = KOKORO.folder(settings.data_dir) / voice_file(voice)
    style = np.fromfile(table, np.float32).reshape(-1, 1, STYLE_WIDTH)
    file = folder / "voices.npz"
    np.savez(file, allow_pickle=False, **{voice: style})
    return file


def _sound(file: Path) -> npt.NDArray[np.float32]:
    """Samples of a file at Whisper's rate."""
    decode = ["-i", str(file), "-f", "f32le", "-ac", "1", "-ar", str(WHISPER_RATE), "-"]
    command = [find_ffmpeg(), "-v", "error", *decode]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    output_of(command)
    return time.perf_counter() - began
