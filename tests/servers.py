"""Real S3 servers for the tests: started on free ports, with random credentials, and stopped."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from darkchannel.config import Buckets, Credentials, StoreConfig

MINIO_BINARY = "TEST_MINIO_BINARY"
"""Environment variable that names a MinIO binary to run the same tests on."""


@contextmanager
def embedded(directory: Path) -> Iterator[StoreConfig]:
    """The server that ``darkchannel`` starts for itself, here without its bookkeeping."""
    credentials = Credentials("tester", secrets.token_hex(16))
    weed = Path(sys.executable).with_name("weed")
    roles = ["s3", "filer", "master", "volume", "admin", "s3.port.iceberg", "s3.port.lance"]
    ports = dict(zip(roles, free_ports(len(roles)), strict=True))
    command = [
        *(str(weed), "mini", "-dir", str(directory), "-ip", "127.0.0.1"),
        *("-ip.bind", "127.0.0.1", "-webdav=false", "-admin.ui=false"),
        *("-master.telemetry=false", "-s3.autoCreateBucket=false"),
    ]
    for role, port in ports.items():
        command += [f"-{role if '.' in role else f'{role}.port'}", str(port)]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
    }
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    with running(command, environment, directory / "server.log", endpoint):
        yield StoreConfig(endpoint, credentials, data_dir=directory)


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


SERVERS: dict[str, Callable[[Path], AbstractContextManager[StoreConfig]]] = {"embedded": embedded}
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
    """Ports nobody listens on, each with the one 10,000 above it (SeaweedFS takes both)."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(25_000)
        if port not in found and all(_is_free(number) for number in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def own_buckets(config: StoreConfig) -> StoreConfig:
    """The same store with buckets nobody else uses."""
    mark = secrets.token_hex(4)
    names = Buckets(f"jobs-{mark}", f"output-{mark}", f"refs-{mark}", f"temp-{mark}")
    return replace(config, buckets=names)
