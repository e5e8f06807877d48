"""Running an application with uvicorn, and ending it so that nobody's work is lost."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from darkchannel.api import logs
from darkchannel.api.application import Service
from darkchannel.api.keys import require_keys_off_loopback
from darkchannel.errors import SettingError

LOG = logging.getLogger("darkchannel.serving")
KEEP_ALIVE_SECONDS = 15
_LEAVE_SECONDS = 1
"""What connections get to close after the grace time."""
_SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """uvicorn, with an end in two steps.

    SIGTERM or Ctrl-C lets it refuse new work with a 503, which tells a client to go elsewhere,
    while what is under way is finished; then, or after the grace time, it goes.  A second signal
    makes it go at once.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._drain = service.drain
        self._grace_seconds = service.settings.http.grace_seconds
        self._deadline = float("inf")

    def stop(self) -> None:
        """Begin the end; safe from any thread."""
        if self._drain.begun:
            self.should_exit = True
            return
        self._deadline = time.monotonic() + self._grace_seconds
        self._drain.begun = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear a signal."""
        del frame
        LOG.info("stopping on %s", signal.Signals(sig).name)
        self.stop()

    async def on_tick(self, counter: int) -> bool:
        """Whether to go; asked ten times a second."""
        if self._drain.done or time.monotonic() >= self._deadline:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: object = None) -> None:
        """Listen, and say where."""
        del sockets
        await super().startup()
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                fields = {"host": host, "port": port}
                LOG.info("listening on %s:%d", host, port, extra={"fields": fields})

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals without dying of them afterwards: an ordered end is exit code 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def make_server(app: FastAPI, service: Service, host: str, port: int) -> Server:
    """A server that is ready to run.

    Raises:
        SettingError: others could reach it, and there is no API key.
    """
    require_keys_off_loopback(host, service.keyring)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    return Server(config, service)


def serve(app: FastAPI, service: Service, host: str, port: int) -> None:
    """Serve until a signal comes, with JSON logs on standard error.

    Raises:
        SettingError: others could reach it, and there is no API key; or the port is taken.
    """
    server = make_server(app, service, host, port)
    logs.configure()
    # Books are planned and mastered in threads of this process.  Python lets a thread compute for
    # 5 ms before the loop that answers may go on, and an answer needs several turns.
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way of saying that it cannot listen
        raise SettingError(f"the service cannot listen on {host}:{port}") from error
