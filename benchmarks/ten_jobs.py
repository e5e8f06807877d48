"""Ten jobs at once in ten processes on one embedded store, against one after the other."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from benchmarks.commands import render_command
from benchmarks.table import Row
from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.composition import open_store
from darkchannel.config import Settings
from darkchannel.speech.tone import decode_tones

JOBS = 10
SENTENCES = 100


def run() -> list[Row]:
    """Time both ways on the same number of workers, and listen to every book."""
    # Held open for both, so that neither pays for the start of the store.
    with tempfile.TemporaryDirectory() as name, open_store(Settings.from_environment()):
        one_by_one = _time(Path(name), at_once=1)
        together = _time(Path(name), at_once=JOBS)
        mixed = sum(_heard(book) != _sentences(book) for book in Path(name).glob("*.txt"))
    ratio = together / one_by_one
    return [
        Row(
            "books that say something else than their text",
            f"{mixed}",
            "0",
            mixed == 0,
        ),
        Row("ten at once : one after the other, wall time", f"{ratio:.2f}", "1.10", ratio <= 1.1),
    ]


def _time(folder: Path, *, at_once: int) -> float:
    books = [_write_book(folder) for _ in range(JOBS)]
    began = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for book in books:
        command = render_command(book, "--engine", "tone", "--no-cache", "--workers", "2")
        running.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        if len(running) >= at_once:
            _finish(running)
    _finish(running)
    return time.perf_counter() - began


def _finish(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        if process.wait():
            raise SystemExit(f"{process.args!r} failed")
    running.clear()


def _write_book(folder: Path) -> Path:
    book = folder / f"{uuid.uuid4().hex}.txt"
    lines = (f"Livro {book.stem[:8]}, frase {number}." for number in range(1, SENTENCES + 1))
    book.write_text("\n\n".join(lines), encoding="utf-8")
    return book


def _sentences(book: Path) -> list[str]:
    return book.read_text(encoding="utf-8").split("\n\n")


def _heard(book: Path) -> list[str]:
    command = [find_ffmpeg(), "-v", "error", "-i", str(book.with_suffix(".mp3"))]
    pcm = subprocess.run(
        [*command, "-f", "f32le", "-ac", "1", "-"], capture_output=True, check=True
    ).stdout
    return decode_tones(np.frombuffer(pcm, np.float32), 44_100)
