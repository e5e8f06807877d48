"""A file from its publisher's address."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.download import download
from darkchannel.speech.weights import Manifest, ModelFile, fetch

CONTENT = bytes(range(256)) * 4000


class Publisher(BaseHTTPRequestHandler):
    """Serves :data:`CONTENT` at ``/whole`` and ``/ranged``, half of it at ``/half``."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        """Answer, with ranges where the path offers them."""
        self.ranges.append(self.headers["Range"])
        if self.path not in {"/whole", "/ranged", "/half"}:
            self.send_error(404)
            return
        start = 0
        if self.path == "/ranged" and self.headers["Range"]:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start : len(CONTENT) // 2 if self.path == "/half" else None]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    """A publisher on this machine."""
    Publisher.ranges = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("path", "start"), [("ranged", 1000), ("whole", 1000), ("ranged", 0)])
def test_a_download_goes_on_where_it_stopped(
    address: str, path: str, start: int, tmp_path: Path
) -> None:
    """What is there is kept if the server can go on from it, and replaced if it cannot."""
    target = tmp_path / "file"
    target.write_bytes(CONTENT[:start])
    download(f"{address}/{path}", target, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert Publisher.ranges == [f"bytes={start}-" if start else None]


def test_no_more_than_the_size_is_written(address: str, tmp_path: Path) -> None:
    """A server that sends too much cannot fill the disk."""
    download(f"{address}/whole", tmp_path / "file", 5000)
    assert (tmp_path / "file").read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize("path", ["half", "nowhere"])
def test_a_broken_answer_is_an_error(address: str, path: str, tmp_path: Path) -> None:
    """Too few bytes or none at all give one sentence that names the address."""
    with pytest.raises(EngineUnavailableError, match=f"{address}/{path} could not be fetched"):
        download(f"{address}/{path}", tmp_path / "file", len(CONTENT))


@pytest.mark.parametrize("unsafe", ["http://example.org/x", "file:///etc/passwd", "ftp://a/b"])
def test_only_https_is_spoken_to_the_world(unsafe: str, tmp_path: Path) -> None:
    """Plain http, files and other schemes are refused."""
    with pytest.raises(ValueError, match="not an https address"):
        download(unsafe, tmp_path / "file", 1)


def test_fetching_from_upstream_checks_the_digest(address: str, tmp_path: Path) -> None:
    """The publisher's bytes count only if they are the pinned ones."""
    right = hashlib.sha256(CONTENT).hexdigest()
    file = ModelFile("a.bin", len(CONTENT), right, (), address=f"{address}/whole")
    folder = fetch(Manifest("right", (file,)), tmp_path, source="upstream")
    assert (folder / "a.bin").read_bytes() == CONTENT
    wrong = replace(file, sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(EngineUnavailableError, match="other bytes than the pinned ones"):
        fetch(Manifest("wrong", (wrong,)), tmp_path, source="upstream")
    assert not (tmp_path / "models/wrong/a.bin").exists()
