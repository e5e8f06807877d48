"""Processes that use an embedded store, and a look at those it consists of."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

BUCKET = "darkchannel-jobs"
GONE_SECONDS = 8.0
"""Linger, orderly end and a busy machine."""

USER = """
import json, sys
from pathlib import Path
from darkchannel.storage.embedded import embedded_store, environment
with embedded_store(Path(sys.argv[1])) as config:
    assert "boto3" not in sys.modules
    print(json.dumps(environment(config)), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses the store until it is told to leave, or killed."""

    def __init__(self, data_dir: Path, script: str = USER, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self._answer: dict[str, str] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What it was told about the store; waits until it was."""
        if self._answer is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, "the user process failed"
            self._answer = json.loads(line)
        return self._answer

    def leave(self) -> int:
        """End in order."""
        self.process.communicate("\n", timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.communicate()


def processes(data_dir: Path) -> list[psutil.Process]:
    """Supervisors and servers of a data directory."""
    store = str(data_dir / "store")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            arguments = process.cmdline()
            is_server = "mini" in arguments and process.cwd() == f"{store}/objects"
            if is_server or (store in arguments and "-m" in arguments):
                found.append(process)
    return found


def server(data_dir: Path) -> psutil.Process:
    """The one server of a data directory."""
    (found,) = [process for process in processes(data_dir) if "mini" in process.cmdline()]
    return found


def supervisor(data_dir: Path) -> psutil.Process:
    """The one supervisor of a data directory."""
    (found,) = [process for process in processes(data_dir) if "-m" in process.cmdline()]
    return found


def wait_for(condition: Callable[[], object], seconds: float = GONE_SECONDS) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def is_gone(data_dir: Path) -> bool:
    """Whether all processes of a store end in time."""
    return wait_for(lambda: not processes(data_dir))


def s3(env: dict[str, str]) -> Any:
    """A client with what another program would get from the environment."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=env["MINIO_ENDPOINT"],
        aws_access_key_id=env["MINIO_ACCESS_KEY"],
        aws_secret_access_key=env["MINIO_SECRET_KEY"],
        region_name=env["MINIO_REGION"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            retries={"total_max_attempts": 10, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def put(env: dict[str, str], key: str, body: bytes) -> None:
    """Write an object into a bucket that is made if need be."""
    client = s3(env)
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=key, Body=body)


def get(env: dict[str, str], key: str) -> bytes:
    """Read it back."""
    body: bytes = s3(env).get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def status_of(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """How a request without any credentials is answered."""
    try:
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
