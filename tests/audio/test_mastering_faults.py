"""Long books, full disks, and processes that are killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from darkchannel.audio.mastering import master
from darkchannel.audio.presets import ACX
from darkchannel.errors import OutputError
from tests.audio.material import Material, material, speech_like

ROOT = Path(__file__).parent.parent.parent


def maker(folder: Path, seconds: float, delay: float = 0.0) -> subprocess.Popen[bytes]:
    """Another process that masters a book."""
    arguments = [str(folder), str(seconds), str(delay)]
    command = [sys.executable, "-m", "tests.audio.bookmaker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def encoder_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    """The FFmpeg that it has started, once it encodes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children():
            # One that only measures or asks for the version may end while it is looked at.
            with contextlib.suppress(psutil.NoSuchProcess):
                encodes = {"libmp3lame", "ffmetadata"} <= set(child.cmdline())
                # It gives way to others from when it is no longer being started, but in hand.
                if encodes and child.nice() > psutil.Process(process.pid).nice():
                    return child
        time.sleep(0.05)
    raise AssertionError("no encoder was started")


@pytest.fixture(scope="module")
def book() -> Material:
    """Takes of half a minute."""
    return material([speech_like(3, seed=n) for n in range(10)])


@pytest.fixture(scope="module")
def sizes(book: Material, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Bytes of each file of the book where there is space enough."""
    folder = tmp_path_factory.mktemp("roomy")
    made = master(book.plan, book.takes, book.read, folder, title="Livro", preset=ACX)
    return {name: path.stat().st_size for name, path in made.files.items()}


@pytest.mark.usefixtures("no_process_left")
@pytest.mark.parametrize("formats", [("mp3",), ("m4b",), ("mp3", "m4b")])
@pytest.mark.parametrize("share", [0.02, 0.6, 0.99])
def test_a_full_disk(
    book: Material,
    sizes: dict[str, int],
    small_disk: Callable[[int], Path],
    formats: tuple[str, ...],
    share: float,
) -> None:
    """Wherever the space ends, in the first block or the last, it is said and nothing is left."""
    needed = sum(sizes[name] for name in (*formats, "srt", "vtt", "report"))
    disk = small_disk(int(needed * share))
    with pytest.raises(OutputError, match="space"):
        master(book.plan, book.takes, book.read, disk, title="Livro", preset=ACX, formats=formats)
    assert list(disk.iterdir()) == []


def test_ctrl_c(tmp_path: Path) -> None:
    """An interrupt ends the work long before its time: no process and no file are left."""
    process = maker(tmp_path, 600, 0.05)
    encoder = encoder_of(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert b"KeyboardInterrupt" in errors
    assert not encoder.is_running()
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_outright_leaves_no_encoder(tmp_path: Path) -> None:
    """FFmpeg ends by itself when nobody feeds it any more, and no file bears a final name."""
    process = maker(tmp_path, 600, 0.05)
    encoder = encoder_of(process)
    process.kill()
    process.communicate(timeout=5)
    encoder.wait(timeout=10)
    assert all(path.name.startswith(".mastering-") for path in tmp_path.iterdir())


def memory(folder: Path, seconds: float) -> tuple[int, int]:
    """Peak resident memory in bytes of mastering a book: our process's and FFmpeg's."""
    out, errors = maker(folder, seconds).communicate(timeout=250)
    assert out, errors
    ours, encoders = map(int, out.split())
    return ours, encoders


@pytest.mark.acceptance
def test_memory_does_not_grow_with_the_book(tmp_path: Path) -> None:
    """Ten times the length costs this process under 4 MB more, and FFmpeg under 8 MB."""
    short = memory(tmp_path / "short", 120)
    long = memory(tmp_path / "long", 1200)
    assert long[0] - short[0] < 4e6
    assert long[1] - short[1] < 8e6
