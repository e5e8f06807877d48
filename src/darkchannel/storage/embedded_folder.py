"""The embedded store's folder: what is in it, who may read it, and who is using it.

::

    store/                  mode 0700
        server.json         0600  credentials, ports and process of the server
        server.lock         0600  held by the supervisor (or by whoever is starting it)
        users.lock          0600  held, shared, by every process that uses the store
        server.log          0600  what the server and its supervisor say; bounded
        objects/            the server's own data

Both locks are ``flock`` locks: the kernel lets go of them however their holder ends, so that
nothing here has to be cleaned up after a crash, and nothing in ``server.json`` is believed
unless ``server.lock`` says that somebody stands behind it.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from darkchannel.config import Credentials
from darkchannel.errors import StoreAccessError
from darkchannel.storage.embedded_ports import PORT_NAMES, Ports

MAX_STATE_BYTES = 64 * 1024

_TOO_MUCH = (OverflowError, RecursionError)
"""What a number or a nesting beyond measure raises when it is read."""

_held: set[int] = set()


def _let_go_in_child() -> None:
    # A flock belongs to the open file, which a forked child shares: one that outlives its
    # parent would keep the server up.  Closing the child's copy leaves the parent's lock alone.
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class FileLock:
    """A lock on a file, from :meth:`acquire` until :meth:`release` or the process's end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        _held.add(fd)

    @classmethod
    def acquire(cls, path: Path, *, shared: bool = False) -> FileLock | None:
        """Take the lock, or return None at once when somebody holds it.

        Raises:
            OSError: the file cannot be opened.
            StoreAccessError: it belongs to another user.
        """
        fd = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        return cls(fd)

    @property
    def fd(self) -> int:
        """The open file: a process that inherits it holds the lock too."""
        return self._fd

    def release(self) -> None:
        """Close this process's copy; in a forked child, which has none, without effect."""
        if self._fd in _held:
            _held.discard(self._fd)
            os.close(self._fd)
        self._fd = -1


def open_private(path: Path, flags: int) -> int:
    """Open a file of ours that nobody else may read, not following a link.

    Raises:
        OSError: it cannot be opened.
        StoreAccessError: it belongs to another user.
    """
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _refuse_strangers(os.fstat(fd), path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_strangers(status: os.stat_result, path: Path) -> None:
    if status.st_uid != os.geteuid():
        raise StoreAccessError(
            f"{path} belongs to another user (uid {status.st_uid})",
            remedy="run as that user, or set DARKCHANNEL_DATA_DIR to a folder of your own",
        )


@dataclass(frozen=True, slots=True)
class ServerState:
    """What ``server.json`` says.

    Attributes:
        credentials: made once, kept across restarts.
        ports: the server's ports by the name of their option; kept while they stay free.
        ready: the server answered when this was written.
        pid: the server's process, for ending one that a killed supervisor left behind.
    """

    credentials: Credentials
    ports: Ports
    ready: bool = False
    pid: int | None = None

    @property
    def endpoint(self) -> str:
        """Address of the S3 port."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"


def _is_sound(state: ServerState) -> bool:
    keys = (state.credentials.access_key, state.credentials.secret_key)
    return (
        all(key.isascii() and key.isalnum() for key in keys)
        and set(state.ports) == set(PORT_NAMES)
        and all(0 < port < 2**16 for port in state.ports.values())
    )


def new_credentials() -> Credentials:
    """A random key pair of letters and digits, with 119 and 238 bits of randomness."""
    import secrets
    import string

    alphabet = string.ascii_letters + string.digits
    return Credentials(*("".join(secrets.choice(alphabet) for _ in range(n)) for n in (20, 40)))


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """The folder of one embedded store."""

    path: Path

    @classmethod
    def create(cls, data_dir: Path) -> StoreFolder:
        """Make the folder below the data directory, or check the one that is there.

        Raises:
            OSError: it cannot be made.
            StoreAccessError: it belongs to another user.
        """
        folder = cls(data_dir.absolute() / "store")
        data_dir.mkdir(parents=True, exist_ok=True)
        for path in (folder.path, folder.objects):
            path.mkdir(mode=0o700, exist_ok=True)
        status = folder.path.stat()
        _refuse_strangers(status, folder.path)
        if status.st_mode & 0o077:
            folder.path.chmod(0o700)
        return folder

    @property
    def objects(self) -> Path:
        """The server's own data."""
        return self.path / "objects"

    @property
    def log(self) -> Path:
        """What the server and its supervisor say."""
        return self.path / "server.log"

    @property
    def server_lock(self) -> Path:
        """Held by the supervisor."""
        return self.path / "server.lock"

    @property
    def users_lock(self) -> Path:
        """Held, shared, by every process that uses the store."""
        return self.path / "users.lock"

    @property
    def _state(self) -> Path:
        return self.path / "server.json"

    def read_state(self) -> ServerState | None:
        """What is known of the server; None when nothing is, or nothing that can be read.

        Raises:
            StoreAccessError: the file belongs to another user.
        """
        try:
            with os.fdopen(open_private(self._state, os.O_RDONLY), "rb") as file:
                raw = json.loads(file.read(MAX_STATE_BYTES))
            state = ServerState(
                credentials=Credentials(raw["access_key"], raw["secret_key"]),
                ports={name: int(port) for name, port in raw["ports"].items()},
                ready=raw["ready"] is True,
                pid=None if raw["pid"] is None else int(raw["pid"]),
            )
            return state if _is_sound(state) else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, *_TOO_MUCH):
            return None

    def write_state(self, state: ServerState) -> None:
        """Replace what is known of the server, at once or not at all.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        raw = {
            "access_key": state.credentials.access_key,
            "secret_key": state.credentials.secret_key,
            "ports": state.ports,
            "ready": state.ready,
            "pid": state.pid,
        }
        # Only the holder of the server lock writes, so one name for the new file will do.
        new = self._state.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
            json.dump(raw, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state)
