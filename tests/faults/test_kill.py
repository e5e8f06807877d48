"""Killed at any moment: the same command completes, and nothing is said twice or left out."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from darkchannel.config import Buckets
from darkchannel.storage import MinIOClient
from darkchannel.storage.embedded import embedded_store
from tests.faults.conftest import Start, finish
from tests.production.test_pipeline import hear

BOOKS = 4
KILLS_A_BOOK = 5
SEED = 20_251


def sentences(book: int) -> list[str]:
    return [f"Livro {book}, frase {number}." for number in range(1, 61)]


def workers_of(data_dir: Path) -> list[psutil.Process]:
    """Every process that still works on the data directory, but for the store's own."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        env, line = process.info["environ"] or {}, " ".join(process.info["cmdline"] or ())
        if env.get("DARKCHANNEL_DATA_DIR") == str(data_dir) and "supervisor" not in line:
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "book", [0, *(pytest.param(n, marks=pytest.mark.acceptance) for n in range(1, BOOKS))]
)
def test_kill_9_at_random_moments(start: Start, data_dir: Path, tmp_path: Path, book: int) -> None:
    """Five kills at random moments, then one run: every sentence once, in order; no take twice."""
    moments = random.Random(SEED + book)
    (tmp_path / "book.txt").write_text("\n\n".join(sentences(book)), encoding="utf-8")
    command = ("render", "book.txt", "--engine", "tone", "--json", "--job-id", f"book-{book}")
    takes: dict[str, object] = {}
    with embedded_store(data_dir, Buckets()) as config:
        client = MinIOClient(config)
        for _ in range(KILLS_A_BOOK):
            process = start(*command)
            time.sleep(moments.uniform(0.3, 3.5))
            process.kill()
            process.communicate()
            psutil.wait_procs(workers_of(data_dir), timeout=5)
            assert workers_of(data_dir) == []
            takes |= (
                {
                    info.key: info.last_modified
                    for info in client.list(config.buckets.jobs, f"book-{book}/chunks/")
                    if info.key not in takes
                }
                if client.exists(config.buckets.jobs, f"book-{book}/metadata.json")
                else {}
            )
        result = finish(start(*command))
        now = {
            info.key: info.last_modified
            for info in client.list(config.buckets.jobs, f"book-{book}/chunks/")
        }
    assert result["chunks_total"] == len(sentences(book))
    assert result["chunks_rendered"] <= result["chunks_total"] - len(takes)
    assert {key: now[key] for key in takes} == takes
    assert hear(tmp_path / "book.mp3") == sentences(book)


@pytest.mark.slow
def test_the_whole_process_group_dies(start: Start, tmp_path: Path) -> None:
    """When everything is killed at once, as by a power cut, the same command completes."""
    (tmp_path / "book.txt").write_text("\n\n".join(sentences(9)), encoding="utf-8")
    process = start("render", "book.txt", "--engine", "tone", "--json")
    time.sleep(2.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    result = finish(start("render", "book.txt", "--engine", "tone", "--json"))
    assert result["chunks_total"] == 60
    assert hear(tmp_path / "book.mp3") == sentences(9)
