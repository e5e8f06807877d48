"""docs/api.md: its tables are those of the services, and its examples work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from tests.api.jobs_api import running_jobs
from tests.api.running import Running
from tests.api.speakers import running_speech
from tests.docs.api_tables import DOCUMENT, regenerated
from tests.docs.test_commands import blocks, environment

DEFAULT = "http://127.0.0.1:8001"
JOBS_DEFAULT = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def speech(
    store_config: StoreConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    with running_speech(client, tmp_path_factory.mktemp("speech")) as running:
        yield running


@pytest.fixture(scope="module")
def jobs(store_config: StoreConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_jobs(MinIOClient(store_config), tmp_path_factory.mktemp("jobs")) as running:
        yield running


def adapted(block: str, speech: Running, jobs: Running) -> str:
    """An example as it can be run here: on these services, with a voice they have."""
    block = block.replace(DEFAULT, speech.url).replace(JOBS_DEFAULT, jobs.url)
    return block.replace("pf_dora", "tone-a")


def test_the_tables_are_those_of_the_services() -> None:
    """`python -m tests.docs.api_tables` would change nothing."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert regenerated(text) == text
    assert text.count("| `chunk_index` |") == 1


@pytest.mark.slow
def test_shell_examples_work(speech: Running, jobs: Running, tmp_path: Path) -> None:
    """Every shell block runs to its end, in order."""
    env = environment() | {"DARKCHANNEL_DATA_DIR": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    shown = ""
    for block in blocks("docs/api.md", "sh"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", adapted(block, speech, jobs)],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        shown += done.stdout
    assert '"s3_key":"my-book/chunks/chunk-00001.wav"' in shown
    assert '"status":"completed"' in shown
    assert '"download_url":"http' in shown
    assert "dck_" in shown


@pytest.mark.slow
def test_python_examples_work(speech: Running, jobs: Running, tmp_path: Path) -> None:
    """Every Python block runs to its end; what it writes is audio."""
    for block in blocks("docs/api.md", "python"):
        subprocess.run(
            [sys.executable, "-c", adapted(block, speech, jobs)],
            env=environment() | {"NO_PROXY": "127.0.0.1"},
            cwd=tmp_path,
            timeout=60,
            check=True,
        )
    written = list(tmp_path.glob("*.mp3"))
    assert [path.stat().st_size > 1000 for path in written] == [True]
