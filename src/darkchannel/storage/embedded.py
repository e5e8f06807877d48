"""The embedded store: one SeaweedFS for all processes of this machine that share a folder.

::

    user process ──shared lock──> users.lock <──tries for the exclusive one── supervisor ──> weed
    user process ──shared lock──┘                                             (server.lock)

The first user starts a supervisor, which starts the server; the others find it.  It ends a
second after the last user, however that ended, and never under another one.  See
:mod:`~darkchannel.storage.embedded_folder` for what lies in the folder and
:mod:`~darkchannel.storage.embedded_server` for who can reach the server.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from darkchannel.config import Buckets, StoreConfig
from darkchannel.errors import (
    DarkChannelError,
    OutputError,
    StoreFullError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from darkchannel.storage.embedded_folder import FileLock, StoreFolder

_POLL_SECONDS = 0.02
_FULL_BYTES = 4 * 2**20
_ANOTHER_STORE = "set MINIO_ENDPOINT to use another store"
_SUPERVISOR = "darkchannel.storage.embedded_supervisor"
_INHERITED = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV"}
    | {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
)


@contextmanager
def embedded_store(
    data_dir: Path, buckets: Buckets | None = None, *, start_timeout: float = 30.0
) -> Iterator[StoreConfig]:
    """The embedded store of a data directory, up for as long as the context is open.

    Processes forked or spawned inside the context may use the store, but only the process that
    opened it keeps it up.

    Args:
        data_dir: where the server keeps its data and credentials, in a folder ``store``.
        buckets: names of the buckets, which the caller creates.
        start_timeout: seconds until the server must answer.

    Raises:
        StoreUnavailableError: the server is not installed, does not start or does not answer.
        StoreFullError: there is no space left for its data.
        StoreAccessError: the folder belongs to another user.
        OutputError: the data directory cannot be written.
    """
    deadline = time.monotonic() + start_timeout
    folder = _open_folder(data_dir)
    users = _join(folder, deadline)
    try:
        yield _attach(folder, buckets or Buckets(), deadline)
    finally:
        users.release()


def ensure_running(
    data_dir: Path, buckets: Buckets | None = None, *, start_timeout: float = 30.0
) -> StoreConfig:
    """Bring the embedded store back where it has died with its supervisor.

    For a process inside :func:`embedded_store`, or a child of one, to call between two attempts
    at a request: costs 2 ms when all is well.  The server comes back at the same address unless
    another program has taken that meanwhile.  It is the open context that keeps it up.

    Raises:
        DarkChannelError: as :func:`embedded_store`.
    """
    with embedded_store(data_dir, buckets, start_timeout=start_timeout) as config:
        return config


def environment(config: StoreConfig) -> dict[str, str]:
    """What another program needs in its environment to use the same store.

    :meth:`darkchannel.config.Settings.from_environment` reads it back.
    """
    names = {
        "MINIO_ENDPOINT": config.endpoint,
        "MINIO_ACCESS_KEY": config.credentials.access_key,
        "MINIO_SECRET_KEY": config.credentials.secret_key,
        "MINIO_REGION": config.region,
    }
    if config.public_endpoint is not None:
        names["MINIO_ENDPOINT_EXTERNAL"] = config.public_endpoint
    if config.link_credentials is not None:
        names["MINIO_LINK_ACCESS_KEY"] = config.link_credentials.access_key
        names["MINIO_LINK_SECRET_KEY"] = config.link_credentials.secret_key
    for purpose in ("jobs", "output", "refs", "temp"):
        name = getattr(config.buckets, purpose)
        if name != getattr(Buckets(), purpose):
            names[f"MINIO_BUCKET_{purpose.upper()}"] = name
    return names


def find_server() -> Path:
    """The program that the embedded store runs.

    Raises:
        StoreUnavailableError: it is not installed, or does not run on this system.
    """
    _require_posix()
    from darkchannel.storage.embedded_server import find_server

    return find_server()


def _require_posix() -> None:
    if os.name != "posix":
        raise StoreUnavailableError(
            "the embedded store runs on Linux and macOS only", remedy=_ANOTHER_STORE
        )


def _open_folder(data_dir: Path) -> StoreFolder:
    _require_posix()
    from darkchannel.storage.embedded_folder import StoreFolder

    try:
        return StoreFolder.create(data_dir)
    except OSError as error:
        raise _unwritable(data_dir, error) from error


def _unwritable(data_dir: Path, error: OSError) -> DarkChannelError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _full(data_dir)
    return OutputError(
        f"the data directory {data_dir} cannot be written: {error.strerror}",
        remedy="set DARKCHANNEL_DATA_DIR to a folder that you may write",
    )


def _full(data_dir: Path) -> StoreFullError:
    return StoreFullError(
        f"no space is left in {data_dir} for the embedded store",
        remedy="free some, or set DARKCHANNEL_DATA_DIR to a folder on another disk",
    )


def _join(folder: StoreFolder, deadline: float) -> FileLock:
    """Become a user; waits while a server that had none is being stopped."""
    from darkchannel.storage.embedded_folder import FileLock

    while True:
        try:
            users = FileLock.acquire(folder.users_lock, shared=True)
        except OSError as error:
            raise _unwritable(folder.path, error) from error
        if users is not None:
            return users
        _wait(folder, deadline, "the embedded store is being stopped and does not end")


def _attach(folder: StoreFolder, buckets: Buckets, deadline: float) -> StoreConfig:
    from darkchannel.storage.embedded_folder import FileLock
    from darkchannel.storage.embedded_ports import answers

    while True:
        try:
            lock = FileLock.acquire(folder.server_lock)
        except OSError as error:
            raise _unwritable(folder.path, error) from error
        if lock is not None:
            # Nobody stands behind what server.json may say.
            _start(folder, lock, deadline)
        state = folder.read_state()
        if state is not None and state.ready and answers(state.ports["s3.port"]):
            return StoreConfig(
                state.endpoint,
                state.credentials,
                buckets=buckets,
                data_dir=folder.objects,
            )
        _wait(folder, deadline, "the embedded store does not answer")


def _wait(folder: StoreFolder, deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise StoreUnavailableError(otherwise, remedy=f"see {folder.log}, or {_ANOTHER_STORE}")
    time.sleep(_POLL_SECONDS)


def _start(folder: StoreFolder, lock: FileLock, deadline: float) -> None:
    """Start a supervisor, hand the server lock over to it and hear whether it succeeds."""
    import subprocess

    from darkchannel.storage.embedded_server import find_server

    read_end, write_end = os.pipe()
    try:
        told = [str(folder.path), str(find_server()), str(lock.fd)]
        detaching = subprocess.Popen(
            [sys.executable, "-P", "-m", _SUPERVISOR, *told],
            env={name: value for name, value in os.environ.items() if name in _INHERITED},
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            pass_fds=(lock.fd,),
            start_new_session=True,
        )
        os.close(write_end)
        write_end = -1
        detaching.wait()
        lock.release()
        trouble = _listen(read_end, deadline)
    except OSError as error:
        raise _not_started(folder, str(error)) from error
    finally:
        lock.release()
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)
    # Silence means that it was killed: the caller looks again, and starts another.
    if trouble:
        raise _not_started(folder, trouble)


def _listen(fd: int, deadline: float) -> str:
    """What a supervisor says until it ends; nothing once it has said that all is well."""
    from darkchannel.storage.embedded_supervisor import READY

    said = b""
    while not f"\n{said.decode(errors='replace')}".endswith(f"\n{READY}\n"):
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return "it does not answer in time"
        more = os.read(fd, 4096)
        if not more:
            return said.decode(errors="replace").strip()
        said = (said + more)[-8192:]
    return ""


def _not_started(folder: StoreFolder, said: str) -> DarkChannelError:
    status = os.statvfs(folder.path)
    if status.f_bavail * status.f_frsize < _FULL_BYTES:
        return _full(folder.path)
    return StoreUnavailableError(
        f"the embedded store did not start: {said.splitlines()[-1]}",
        remedy=f"see {folder.log}, or {_ANOTHER_STORE}",
    )
