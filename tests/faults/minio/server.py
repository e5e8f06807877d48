"""A real MinIO to be killed, stopped and started again at the same address."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

from darkchannel.config import Credentials, StoreConfig
from tests.servers import MINIO_BINARY, free_ports, wait_for_answer


class Server:
    """A MinIO of one drive, running from the beginning to the end of its context.

    Attributes:
        credentials: of its root user; changed ones count from the next start.
    """

    def __init__(self, directory: Path) -> None:
        self._binary = os.environ.get(MINIO_BINARY, "")
        if not self._binary:
            pytest.fail(
                f"{MINIO_BINARY} names no MinIO binary: `make acceptance` builds one and sets it",
                pytrace=False,
            )
        self._directory = directory
        self._address = f"127.0.0.1:{free_ports(1)[0]}"
        self._process: subprocess.Popen[bytes] | None = None
        self.credentials = Credentials("tester", secrets.token_hex(16))

    @property
    def config(self) -> StoreConfig:
        """How to reach it."""
        return StoreConfig(f"http://{self._address}", self.credentials)

    def start(self) -> None:
        """Run it until it answers."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MINIO_")
        } | {
            "MINIO_ROOT_USER": self.credentials.access_key,
            "MINIO_ROOT_PASSWORD": self.credentials.secret_key,
            "MINIO_BROWSER": "off",
        }
        log = self._directory / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "server",
                    str(self._directory / "drive"),
                    "--address",
                    self._address,
                ],
                env=environment,
                cwd=self._directory,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for_answer(self._process, self.config.endpoint, log)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        """Stop it dead: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def rotate_secret(self) -> None:
        """Start it again on the same data with another secret of the same user."""
        self.kill()
        self.credentials = Credentials(self.credentials.access_key, secrets.token_hex(16))
        self.start()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
