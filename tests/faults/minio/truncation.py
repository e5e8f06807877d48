"""An HTTP proxy that breaks off the answers to reads of takes."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from darkchannel.config import StoreConfig

ALWAYS = 1_000_000


@dataclass
class Truncation:
    """What the proxy does; settable while it runs.

    Attributes:
        times: how many more answers to the GET of a take are cut.
        at: offset in the object behind which nothing comes through while that lasts: a range
            asked for behind it brings headers and not a single byte.
        cut: how many answers were cut.
    """

    times: int
    at: int = 8_000
    cut: int = 0


class _Proxy(ThreadingHTTPServer):
    def __init__(self, upstream: str, fault: Truncation) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.fault = fault
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def forward(self) -> None:
        """Hand the request on, and the answer back, or some of it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        store = http.client.HTTPConnection(self.server.upstream, timeout=60)
        # The host is part of the signature, and so it stays the proxy's.
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        store.request(self.command, self.path, body or None, headers)
        answer = store.getresponse()
        data = answer.read()
        store.close()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers["Content-Length"] or str(len(data)))
        self.end_headers()
        come_through = self._come_through(data)
        self.wfile.write(come_through)
        self.close_connection = len(come_through) < len(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

    def _come_through(self, data: bytes) -> bytes:
        if self.command != "GET" or "/chunks/chunk-" not in self.path:
            return data
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fault = self.server.fault
        left = max(0, fault.at - int(start[1] if start else 0))
        with self.server.lock:
            if fault.times <= 0 or left >= len(data):
                return data
            fault.times -= 1
            fault.cut += 1
        return data[:left]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def truncating(config: StoreConfig, times: int) -> Iterator[tuple[StoreConfig, Truncation]]:
    """The same store behind the proxy, and the proxy's switches."""
    fault = Truncation(times)
    with _Proxy(urlsplit(config.endpoint).netloc, fault) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield replace(config, endpoint=f"http://127.0.0.1:{proxy.server_port}"), fault
        finally:
            proxy.shutdown()
