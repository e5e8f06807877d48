"""What the store is held against: files put and got by plain HTTP over loopback.

The server is the standard library's, in a process of its own, and does nothing but write a file
to disk and read it back: no signatures, no checksums, no syncing.
"""

from __future__ import annotations

import functools
import http.client
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.store_process import child

BLOCK = 256 * 1024
"""Bytes at a time, on both sides: as many as our own client hands on."""


class PlainHTTP:
    """Files by plain HTTP, over one connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def upload(self, path: Path, name: str) -> None:
        """Send a file."""
        with path.open("rb") as file:
            length = {"Content-Length": str(path.stat().st_size)}
            self._connection.request("PUT", f"/{name}", file, length)
            self._answer().read()

    def download(self, name: str, path: Path) -> None:
        """Fetch a file."""
        self._connection.request("GET", f"/{name}")
        with path.open("wb") as file:
            shutil.copyfileobj(self._answer(), file, BLOCK)

    def _answer(self) -> http.client.HTTPResponse:
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"the plain HTTP server answered {answer.status} {answer.reason}")
        return answer


@contextmanager
def plain_http(directory: Path) -> Iterator[PlainHTTP]:
    """A client of a server that keeps its files in a directory."""
    with child(_serve, directory) as pipe:
        connection = http.client.HTTPConnection("127.0.0.1", pipe.recv(), blocksize=BLOCK)
        with closing(connection):
            yield PlainHTTP(connection)


def _serve(directory: Path, pipe: Connection) -> None:
    with HTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory)) as server:
        pipe.send(server.server_port)
        server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are written apart: Nagle's algorithm would hold the body back.
    disable_nagle_algorithm = True

    def __init__(self, directory: Path, *connection: Any) -> None:
        self._directory = directory
        super().__init__(*connection)

    def do_PUT(self) -> None:
        """Write a file."""
        left = int(self.headers["Content-Length"])
        with self._file().open("wb") as file:
            while left and (block := self.rfile.read(min(BLOCK, left))):
                left -= file.write(block)
        self._say(0)

    def do_GET(self) -> None:
        """Read it back."""
        with self._file().open("rb") as file:
            self._say(self._file().stat().st_size)
            shutil.copyfileobj(file, self.wfile, BLOCK)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _file(self) -> Path:
        return self._directory / Path(self.path).name

    def _say(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
