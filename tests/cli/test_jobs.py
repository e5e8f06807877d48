"""What becomes of jobs: list, show, watch, resume, cancel, delete, links, cleanup."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import JobManager, MinIOClient
from tests.cli.conftest import Run


@pytest.fixture
def manager(shared_store: StoreConfig) -> JobManager:
    client = MinIOClient(shared_store)
    client.ensure_buckets()
    return JobManager(client)


@pytest.fixture
def finished(run: Run, manager: JobManager, tmp_path: Path) -> str:
    """A finished job's id."""
    (tmp_path / "a.txt").write_text("Uma frase curta.\n", encoding="utf-8")
    done = run("render", "a.txt", "--engine", "tone", "--json", "--title", "Um título")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["job_id"])


def test_jobs_are_listed_and_shown(run: Run, finished: str) -> None:
    """A finished job is in the list, and all that is known of it can be shown."""
    listed = run("jobs", "list").stdout
    assert finished in listed
    assert "Um título" in listed
    shown = json.loads(run("jobs", "show", finished).stdout)
    assert shown["status"] == "completed"
    assert finished in {job["job_id"] for job in json.loads(run("jobs", "list", "--json").stdout)}


def test_watching_ends_with_the_job(run: Run, manager: JobManager, finished: str) -> None:
    """Watching a job that has ended returns at once, with a code that says how it ended."""
    assert run("jobs", "watch", finished).returncode == 0
    job_id = manager.create_job("never begun", "Oi.")
    manager.cancel(job_id)
    assert run("jobs", "watch", job_id).returncode == 3


def test_a_cancelled_job_can_be_resumed(run: Run, tmp_path: Path, finished: str) -> None:
    """Resume brings a job to its end and its files to this machine."""
    done = run("jobs", "resume", finished, "-o", "again.mp3", "--json")
    assert json.loads(done.stdout)["success"], done.stderr
    assert (tmp_path / "again.mp3").exists()


def test_a_link_opens(run: Run, finished: str) -> None:
    """Url prints a link under which the MP3 can be had without credentials."""
    link = run("url", finished, "--expires", "60").stdout.strip()
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read(3) in {b"ID3", b"\xff\xfb\x92"}


def test_an_unfinished_job_has_no_link(run: Run, manager: JobManager) -> None:
    """Url says why there is nothing to download."""
    job_id = manager.create_job("waiting", "Oi.")
    done = run("url", job_id)
    assert done.returncode == 1
    assert "pending" in done.stderr


@pytest.mark.parametrize("command", ["show", "watch", "cancel", "resume"])
def test_an_unknown_job_is_said_so(run: Run, shared_store: StoreConfig, command: str) -> None:
    """A job that does not exist is named in the error."""
    done = run("jobs", command, "nobody-knows-me")
    assert done.returncode == 1
    assert "nobody-knows-me" in done.stderr


def test_a_deleted_job_is_gone(run: Run, manager: JobManager, finished: str) -> None:
    """Delete asks first, and then leaves nothing of the job."""
    assert run("jobs", "delete", finished, stdin="n\n").returncode == 3
    assert run("jobs", "delete", finished, "--yes").returncode == 0
    assert finished not in run("jobs", "list").stdout


def test_cleanup_tells_before_it_acts(run: Run, manager: JobManager) -> None:
    """Cleanup --dry-run changes nothing; cleanup marks what was left behind."""
    job_id = manager.create_job("left behind", "Oi.")
    run("cleanup", "--older-than", "0s", "--dry-run")
    assert manager.get_job_metadata(job_id)["status"] == "pending"
    done = run("cleanup", "--older-than", "0s", "--json")
    assert done.returncode == 0, done.stderr
    assert manager.get_job_metadata(job_id)["status"] == "failed"


def test_cleanup_refuses_a_length_it_cannot_read(run: Run) -> None:
    """--older-than wants a number and a unit."""
    assert run("cleanup", "--older-than", "soon").returncode == 2


def test_the_store_proves_itself(run: Run, shared_store: StoreConfig) -> None:
    """Store check proves what jobs need, one line each."""
    done = run("store", "check", "--json")
    checks = json.loads(done.stdout)
    assert [check["name"] for check in checks if not check["ok"]] == []
    assert {"buckets", "conditional writes", "links", "clock"} <= {c["name"] for c in checks}
    assert run("store", "setup").returncode == 0


def test_voices_are_listed(run: Run) -> None:
    """Voices names each voice with its language."""
    listed = json.loads(run("voices", "--engine", "tone", "--json").stdout)
    assert {"name", "language"} == set(listed[0])
    assert run("voices", "--language", "pt").stdout.startswith("p")


def test_offline_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    """Models fetch --offline fetches nothing and names what is missing."""
    done = run("models", "fetch", "--offline", env={"DARKCHANNEL_DATA_DIR": str(tmp_path / "new")})
    assert done.returncode == 4
    assert "kokoro-v1.0.int8.onnx" in done.stderr
