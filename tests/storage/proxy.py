"""A TCP proxy that breaks connections on purpose, between a client and a real store."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from darkchannel.config import StoreConfig

BLOCK = 16 * 1024


@dataclass
class Faults:
    """What the proxy does to coming connections; settable while it runs.

    Attributes:
        cut_after: bytes of answers after which a connection is cut; one entry a connection,
            then no more cuts.
        swallow_answers: connections whose answer is dropped: the request reaches the store, and
            the client sees the connection close.
        garble: inverts one byte of each block of answers longer than a block.
        silent: accepts and never answers.
        requests: bytes of the requests seen, each connection's first block.
    """

    cut_after: list[int] = field(default_factory=list)
    swallow_answers: int = 0
    garble: bool = False
    silent: bool = False
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def proxied(config: StoreConfig) -> Iterator[tuple[StoreConfig, Faults]]:
    """The same store behind a proxy, and the switches of its faults."""
    parts = urlsplit(config.endpoint)
    upstream = (parts.hostname or "", parts.port or 80)
    faults = Faults()
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(0.2)
        accepting = threading.Thread(
            target=_accept, args=(listener, upstream, faults, stop), daemon=True
        )
        accepting.start()
        try:
            endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield replace(config, endpoint=endpoint), faults
        finally:
            stop.set()
            accepting.join(2)


def _accept(
    listener: socket.socket, upstream: tuple[str, int], faults: Faults, stop: threading.Event
) -> None:
    while not stop.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        threading.Thread(target=_serve, args=(client, upstream, faults, stop), daemon=True).start()


def _serve(
    client: socket.socket, upstream: tuple[str, int], faults: Faults, stop: threading.Event
) -> None:
    left: int | None = None
    first = True
    with client, socket.create_connection(upstream) as server:
        while not stop.is_set():
            readable, _, _ = select.select([client, server], [], [], 0.2)
            try:
                if client in readable:
                    request = client.recv(BLOCK)
                    if not request:
                        return
                    faults.requests.append(request)
                    if first and faults.cut_after and request.startswith(b"GET"):
                        left = faults.cut_after.pop(0)
                    first = False
                    if not faults.silent:
                        server.sendall(request)
                if server in readable:
                    answer = server.recv(BLOCK)
                    if not answer:
                        return
                    if faults.swallow_answers and b" 100 Continue" not in answer[:40]:
                        faults.swallow_answers -= 1
                        return
                    if faults.garble and len(answer) == BLOCK:
                        answer = answer[:-1] + bytes([answer[-1] ^ 0xFF])
                    if left is not None and len(answer) >= left:
                        client.sendall(answer[:left])
                        return
                    left = None if left is None else left - len(answer)
                    client.sendall(answer)
            except OSError:
                return
