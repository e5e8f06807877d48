"""The checkpoint from its publisher: whole or not at all, and the one asked for or none."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.openvoice.published import CHECKPOINT, CONFIG, fetch_checkpoint
from darkchannel.speech.weights import FetchProgress

WEIGHTS = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and the folder it serves."""
    served = tmp_path / "served"
    served.mkdir()
    (served / CHECKPOINT).write_bytes(WEIGHTS)
    (served / CONFIG).write_text("{}")
    handler = functools.partial(Quiet, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_both_files_are_fetched_once(publisher: tuple[str, Path], tmp_path: Path) -> None:
    """They are whole, their progress is told, and the second time nobody is asked."""
    address, _served = publisher
    told: list[FetchProgress] = []
    folder = tmp_path / "model"
    found = fetch_checkpoint(folder, address=address, on_progress=told.append)
    assert found == DIGEST
    assert (folder / CHECKPOINT).read_bytes() == WEIGHTS
    assert told[-1] == FetchProgress(CHECKPOINT, len(WEIGHTS), len(WEIGHTS))
    assert fetch_checkpoint(folder, address="http://127.0.0.1:1", sha256=DIGEST.upper()) == DIGEST


def test_another_checkpoint_than_asked_for_is_refused(
    publisher: tuple[str, Path], tmp_path: Path
) -> None:
    """It is kept aside under another name, which nothing loads."""
    with pytest.raises(EngineUnavailableError, match=DIGEST):
        fetch_checkpoint(tmp_path / "model", address=publisher[0], sha256="0" * 64)
    assert not (tmp_path / "model" / CHECKPOINT).exists()


def test_a_file_too_large_to_be_one_is_not_fetched(
    publisher: tuple[str, Path], tmp_path: Path
) -> None:
    """A config of a megabyte is none."""
    (publisher[1] / CONFIG).write_bytes(bytes(1 << 20))
    with pytest.raises(EngineUnavailableError, match="1048576 bytes"):
        fetch_checkpoint(tmp_path / "model", address=publisher[0])


@pytest.mark.parametrize("missing", [CHECKPOINT, CONFIG])
def test_what_is_not_there_is_said(
    publisher: tuple[str, Path], missing: str, tmp_path: Path
) -> None:
    """The error names the address, and where to put the file by hand."""
    (publisher[1] / missing).unlink()
    with pytest.raises(EngineUnavailableError, match=missing) as refused:
        fetch_checkpoint(tmp_path / "model", address=publisher[0])
    assert "models/openvoice" in refused.value.remedy


def test_nobody_answers(tmp_path: Path) -> None:
    """No network is an error of its own, not a traceback."""
    with pytest.raises(EngineUnavailableError, match="could not be fetched"):
        fetch_checkpoint(tmp_path / "model", address="http://127.0.0.1:1")
