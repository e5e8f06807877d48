"""Stores that are not there, or do not know us."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from tests.cli.conftest import Run


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "a.txt").write_text("Uma frase.\n", encoding="utf-8")
    return "a.txt"


def render_on(run: Run, source: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Render on a store at an address, with keys it does not know."""
    env = {
        "MINIO_ENDPOINT": endpoint,
        "MINIO_ACCESS_KEY": "someone",
        "MINIO_SECRET_KEY": "very-secret-indeed",
    }
    return run("render", source, "--engine", "tone", env=env)


def test_a_store_that_is_not_there(run: Run, source: str) -> None:
    """Nothing listening at the endpoint ends with code 4, naming the endpoint."""
    done = render_on(run, source, "http://127.0.0.1:1")
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr


def test_wrong_credentials(run: Run, source: str, shared_store: StoreConfig) -> None:
    """A store that refuses the keys ends with code 4; the secret is not repeated."""
    done = render_on(run, source, shared_store.endpoint)
    assert done.returncode == 4
    assert "very-secret-indeed" not in done.stdout + done.stderr


def test_a_link_to_another_store(run: Run, source: str, shared_store: StoreConfig) -> None:
    """On a store that stays up, the result is a link on its public address."""
    import json

    done = run(
        "render",
        source,
        "--engine",
        "tone",
        "--json",
        env={
            "MINIO_ENDPOINT": shared_store.endpoint,
            "MINIO_ROOT_USER": shared_store.credentials.access_key,
            "MINIO_ROOT_PASSWORD": shared_store.credentials.secret_key,
            "MINIO_ENDPOINT_EXTERNAL": "http://books.example.org:9000",
        },
    )
    result = json.loads(done.stdout)
    assert result["download_url"].startswith("http://books.example.org:9000/darkchannel-output/")
    assert result["files"] == {}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DARKCHANNEL_WORKER", "2", "DARKCHANNEL_WORKERS"),
        ("DARKCHANNEL_WORKERS", "many", "whole number"),
        ("MINIO_ENDPOINT", "localhost:9000", "http://"),
        ("DARKCHANNEL_OFFLINE", "perhaps", "1 or 0"),
    ],
)
def test_settings_that_cannot_be_used(
    run: Run, source: str, name: str, value: str, words: str
) -> None:
    """A setting that is misspelt or has an odd value is an error that says what was expected."""
    done = run("render", source, "--engine", "tone", env={name: value})
    assert done.returncode == 2
    assert words in done.stderr
