"""An application behind a real uvicorn in this process, on a port of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from darkchannel.api.application import Service
from darkchannel.api.serving import Server, make_server
from darkchannel.config import HttpSettings, Settings


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Attributes:
        url: where.
        client: for talking to it.
        server: for stopping it.
    """

    url: str
    client: httpx.Client
    server: Server


@contextmanager
def running_app(app: FastAPI, service: Service) -> Iterator[Running]:
    """Serve an application until the context ends."""
    server = make_server(app, service, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            yield Running(url, client, server)
    finally:
        server.should_exit = True
        thread.join(20)


def settings_in(folder: Path, **http: object) -> Settings:
    """Settings of a service whose keys, if any, lie in a folder."""
    return Settings(
        data_dir=folder,
        http=HttpSettings(keys_file=folder / "api-keys", **http),  # type: ignore[arg-type]
    )
