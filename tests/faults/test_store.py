"""The store dies, or its disk is full, in the middle of a job."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Start, finish, wait_for_line
from tests.production.test_pipeline import hear
from tests.storage.embedded_processes import processes, server, wait_for


@pytest.mark.slow
def test_a_store_killed_mid_job_comes_back(start: Start, data_dir: Path, tmp_path: Path) -> None:
    """When the server is killed under a running job, the job waits and completes."""
    sentences = [f"Frase {number} da loja." for number in range(1, 201)]
    (tmp_path / "book.txt").write_text("\n\n".join(sentences), encoding="utf-8")
    process = start("render", "book.txt", "--engine", "tone", "--json")
    wait_for_line(process, "rendering")
    time.sleep(0.8)
    server(data_dir).kill()
    result = finish(process)
    assert result["chunks_total"] == 200
    assert hear(tmp_path / "book.mp3") == sentences


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_store_that_hangs(
    start: Start, data_dir: Path, tmp_path: Path
) -> None:
    """With the server stopped dead, Ctrl-C still ends the command soon, with its last words."""
    sentences = [f"Frase {number} da loja parada." for number in range(1, 201)]
    (tmp_path / "book.txt").write_text("\n\n".join(sentences), encoding="utf-8")
    process = start("render", "book.txt", "--engine", "tone", "--json")
    wait_for_line(process, "rendering")
    time.sleep(0.8)
    hung = server(data_dir)
    hung.suspend()
    try:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    finally:
        hung.resume()
    assert process.returncode == 3
    assert json.loads(out)["error"]["type"] == "Cancelled"
    assert "run the same command again" in err
    finish(start("render", "book.txt", "--engine", "tone", "--json"))
    assert hear(tmp_path / "book.mp3") == sentences


@pytest.mark.slow
def test_nothing_is_left_running(start: Start, data_dir: Path, tmp_path: Path) -> None:
    """After the last command has ended no process of the store remains."""
    (tmp_path / "book.txt").write_text("Uma frase.", encoding="utf-8")
    process = start("render", "book.txt", "--engine", "tone", "--json")
    assert wait_for(lambda: processes(data_dir) != [])
    finish(process)
    assert wait_for(lambda: processes(data_dir) == [])


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:
    """A data directory on a disk of its own that is soon full."""
    data_dir.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data_dir)], check=False
        ).returncode
    ):
        pytest.skip("mounting a small disk needs root")
    yield data_dir
    for _ in range(50):
        if subprocess.run(["umount", str(data_dir)], check=False).returncode == 0:
            break
        time.sleep(0.2)


@pytest.mark.slow
def test_a_full_disk_fails_clearly_and_resumes(
    start: Start, small_disk: Path, tmp_path: Path
) -> None:
    """A store without room ends the job with a clear line; given room, the job completes."""
    sentences = [f"Frase {number}, que precisa de espaço no disco." for number in range(1, 61)]
    (tmp_path / "book.txt").write_text("\n\n".join(sentences), encoding="utf-8")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(56 * 2**20))
    process = start("render", "book.txt", "--engine", "tone", "--json")
    _, err = process.communicate(timeout=120)
    assert process.returncode in {1, 4}
    assert "Traceback" not in err
    assert "space" in err or "full" in err
    ballast.unlink()
    result = finish(start("render", "book.txt", "--engine", "tone", "--json"))
    assert result["chunks_total"] == 60
    assert hear(tmp_path / "book.mp3") == sentences
