"""The product on the stack: proven by `store check`, and by a book fetched through its link."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.stack.conftest import ROOT, Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def darkchannel(stack: Stack, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as the API service would."""
    return subprocess.run(
        [sys.executable, "-m", "darkchannel", *arguments],
        cwd=cwd,
        env={**os.environ, **stack.cli_environment()},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_store_check_passes(stack: Stack, tmp_path: Path) -> None:
    """`darkchannel store check` proves every line of the deployment."""
    done = darkchannel(stack, "store", "check", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert [entry for entry in found if not entry["ok"]] == []
    assert done.returncode == 0
    assert len(found) >= 8


@pytest.mark.parametrize("engine", ["tone", "kokoro"])
def test_a_book_comes_out_of_the_gateway(stack: Stack, tmp_path: Path, engine: str) -> None:
    """The example chapter is rendered into the stack and fetched by its presigned link."""
    source = ROOT / "examples" / "capitulo.txt"
    done = darkchannel(
        stack,
        *("render", str(source), "--engine", engine, "-o", "book.mp3", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    url = json.loads(done.stdout)["download_url"]
    assert url.startswith(stack.links)
    with urllib.request.urlopen(url, timeout=30) as answer:
        fetched = hashlib.sha256(answer.read()).hexdigest()
    assert fetched == hashlib.sha256((tmp_path / "book.mp3").read_bytes()).hexdigest()
