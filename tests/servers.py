"""Real S3 servers for the tests: the embedded one and, where there is one, a MinIO."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from darkchannel.config import Buckets, Credentials, StoreConfig
from darkchannel.storage.embedded import embedded_store

MINIO_BINARY = "TEST_MINIO_BINARY"
"""Environment variable that names a MinIO binary to run the same tests on."""


def cache() -> Path:
    """Where ``tests/stack/prepare.sh`` (and ``make minio``) put what they built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darkchannel"


@contextmanager
def minio(directory: Path) -> Iterator[StoreConfig]:
    """A MinIO of one drive."""
    credentials = Credentials("tester", secrets.token_hex(16))
    api, console = free_ports(2)
    command = [os.environ[MINIO_BINARY], "server", str(directory / "drive")]
    command += ["--address", f"127.0.0.1:{api}", "--console-address", f"127.0.0.1:{console}"]
    environment = {
        **os.environ,
        "MINIO_ROOT_USER": credentials.access_key,
        "MINIO_ROOT_PASSWORD": credentials.secret_key,
    }
    endpoint = f"http://127.0.0.1:{api}"
    with running(command, environment, directory / "server.log", endpoint):
        yield StoreConfig(endpoint, credentials, data_dir=directory)


SERVERS: dict[str, Callable[[Path], AbstractContextManager[StoreConfig]]] = {
    "embedded": embedded_store
}
if MINIO_BINARY in os.environ:
    SERVERS["minio"] = minio


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path, endpoint: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers, until the context ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent
        )
        try:
            wait_for_answer(process, endpoint, log)
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    """Wait until anything is answered, if only a refusal."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=1).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"no answer from {endpoint}:\n{log.read_text(errors='replace')[-2000:]}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def own_buckets(config: StoreConfig) -> StoreConfig:
    """The same store with buckets nobody else uses."""
    mark = secrets.token_hex(4)
    names = Buckets(f"jobs-{mark}", f"output-{mark}", f"refs-{mark}", f"temp-{mark}")
    return replace(config, buckets=names)
