"""The process between the embedded server and those who use it.

Started by the first user, apart from it, and told two things: the folder, and the open file of
the server lock, which it holds until it ends.  It starts the server, starts it again if it
dies, and ends it one second after the last user has gone: users hold a shared lock, which the
kernel releases even for those that are killed, and the supervisor tries for the exclusive one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

from darkchannel.errors import DarkChannelError
from darkchannel.storage.embedded_folder import (
    FileLock,
    ServerState,
    StoreFolder,
    new_credentials,
    open_private,
)
from darkchannel.storage.embedded_ports import answers, choose_ports
from darkchannel.storage.embedded_server import Server, end_leftover

READY = "ready"
"""What the supervisor writes to its standard output once the server answers."""

LINGER_SECONDS = 1.0
"""How long the server stays without users, so that a row of commands shares one."""

START_SECONDS = 60.0
"""After which a server that runs but does not answer is given up."""

SETTLE_SECONDS = 0.3
"""Before which no server is ready, and after which one without its ports has ended."""

START_ATTEMPTS = 3
RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
POLL_SECONDS = 0.2
MAX_LOG_BYTES = 4 * 2**20


class StartError(Exception):
    """The server could not be started; the message is its own last word."""


class Supervisor:
    """Keeps one server up for as long as it has users."""

    def __init__(self, folder: StoreFolder, program: Path, lock_fd: int) -> None:
        self._folder = folder
        self._program = program
        self._lock_fd = lock_fd
        self._log = open_private(folder.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._stopping = False
        self._last_used = time.monotonic()
        known = folder.read_state()
        if known is not None:
            end_leftover(known.pid, known.ports)
        self._state = ServerState(
            credentials=known.credentials if known else new_credentials(),
            ports=choose_ports(known.ports if known else None),
        )

    def run(self) -> None:
        """Start the server, say so, and keep it up until it is needed no more.

        Raises:
            StartError: it does not start, or died too often.
            OSError: the folder cannot be written.
        """
        signal.signal(signal.SIGTERM, self._on_terminate)
        server = self._start()
        died: deque[float] = deque(maxlen=RESTARTS)
        try:
            self._announce()
            while self._is_needed():
                time.sleep(POLL_SECONDS)
                self._bound_log()
                if server.exit_code is not None:
                    server = self._restart(server, died)
        finally:
            with contextlib.suppress(OSError):
                self._note(ready=False)
            server.stop()
            self._say("server stopped")

    def _is_needed(self) -> bool:
        """Whether there were users within :data:`LINGER_SECONDS`, and nothing says to stop."""
        if self._stopping or not self._is_current():
            return False
        users = FileLock.acquire(self._folder.users_lock)
        now = time.monotonic()
        if users is None:
            self._last_used = now
            return True
        if now - self._last_used < LINGER_SECONDS:
            users.release()
            return True
        # Not released: whoever comes now waits for this process's end, then starts anew.
        return False

    def _announce(self) -> None:
        # The one who started this may have been killed meanwhile; others may be waiting.
        with contextlib.suppress(BrokenPipeError):
            os.write(1, f"{READY}\n".encode())
        for stream in (1, 2):
            os.dup2(self._log, stream)

    def _on_terminate(self, _signal: int, _frame: object) -> None:
        self._stopping = True

    def _is_current(self) -> bool:
        """Whether the folder is still there and this process the one that serves it."""
        try:
            there = self._folder.server_lock.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._lock_fd))

    def _restart(self, server: Server, died: deque[float]) -> Server:
        self._say(f"server ended with code {server.exit_code}; starting it again")
        now = time.monotonic()
        if len(died) == RESTARTS and now - died[0] < RESTART_WINDOW_SECONDS:
            raise StartError(f"the server died {RESTARTS + 1} times in a minute")
        died.append(now)
        self._note(ready=False, ports=choose_ports(self._state.ports))
        return self._start()

    def _start(self) -> Server:
        for attempt in range(START_ATTEMPTS):
            if attempt:
                # Somebody may have taken one of the ports in the meantime.
                self._note(ports=choose_ports())
            begin = os.fstat(self._log).st_size
            server = Server.start(
                self._program,
                self._folder.objects,
                self._state.ports,
                self._state.credentials,
                self._log,
            )
            try:
                self._note(pid=server.pid)
                if self._wait_until_ready(server):
                    self._note(ready=True)
                    return server
            except BaseException:
                server.stop()
                raise
            server.stop()
        raise StartError(self._last_word(begin))

    def _wait_until_ready(self, server: Server) -> bool:
        # Another program may answer at a port until this server has found it taken and given up.
        time.sleep(SETTLE_SECONDS)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._is_needed():
                raise StartError("nobody waits for the server any more")
            if server.exit_code is not None:
                return False
            if answers(self._state.ports["s3.port"]):
                return True
            time.sleep(0.02)
        raise StartError("the server runs but does not answer")

    def _note(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
        self._folder.write_state(self._state)

    def _last_word(self, begin: int) -> str:
        """The last error that the server logged since ``begin``, else its last line."""
        end = os.fstat(self._log).st_size
        size = min(end - begin, 64 * 1024)
        lines = os.pread(self._log, size, end - size).decode(errors="replace").splitlines()
        told = [line.strip() for line in lines if line.strip()]
        errors = [line for line in told if re.match(r"[FE]\d{4} |panic: ", line)]
        return (errors or told or ["the server ended without a word"])[-1][:500]

    def _say(self, message: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._log, f"supervisor {os.getpid()}: {message}\n".encode())

    def _bound_log(self) -> None:
        if os.fstat(self._log).st_size > MAX_LOG_BYTES:
            with contextlib.suppress(OSError):
                shutil.copyfile(self._folder.log, self._folder.log.with_suffix(".log.1"))
            # The server appends, so it goes on at the beginning.
            os.ftruncate(self._log, 0)


def main(arguments: list[str]) -> int:
    """Leave the caller's process tree, then supervise.

    Args:
        arguments: the store's folder, the path of ``weed``, the open file of the server lock.
    """
    folder, program, lock_fd = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    if os.fork():
        # Nobody's child: it is not the first user's to wait for, nor to take along.
        os._exit(0)
    os.chdir("/")
    os.set_inheritable(lock_fd, False)
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    try:
        Supervisor(StoreFolder(folder), program, lock_fd).run()
    except (StartError, DarkChannelError, OSError) as error:
        with contextlib.suppress(BrokenPipeError):
            os.write(1, f"{error}\n".encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
