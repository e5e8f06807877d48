"""A witness of what a store promised to keep."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from types import TracebackType
from typing import Self

from darkchannel.errors import DarkChannelError, NotFoundError
from darkchannel.storage import MinIOClient
from tests.storage.embedded_processes import wait_for

PAUSE_SECONDS = 0.1
SMALL, LARGE = 4 * 1024, 200 * 1024
"""MinIO keeps small objects inside their metadata, and large ones in files of their own."""


class Recorder:
    """Writes objects one after another, fault or no fault, and notes which were acknowledged.

    Attributes:
        acknowledged: SHA-256 of each object that the store said it has, by key.
    """

    def __init__(self, client: MinIOClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self.acknowledged: dict[str, str] = {}

    def wait_for_some(self) -> None:
        """Wait until there is enough to lose."""
        known = len(self.acknowledged)
        assert wait_for(lambda: len(self.acknowledged) >= known + 10, 30)

    def lost(self, client: MinIOClient) -> list[str]:
        """Keys of acknowledged objects that are not there any more, byte for byte."""
        missing = []
        for key, sha256 in self.acknowledged.items():
            try:
                data = client.get(self._bucket, key).data
            except NotFoundError:
                missing.append(key)
                continue
            if hashlib.sha256(data).hexdigest() != sha256:
                missing.append(key)
        return missing

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(PAUSE_SECONDS):
            number += 1
            key = f"recorder/{number:06d}"
            data = os.urandom(SMALL if number % 4 else LARGE)
            # What fails was not acknowledged, and so it cannot be lost.
            with contextlib.suppress(DarkChannelError):
                self._client.put(self._bucket, key, data)
                self.acknowledged[key] = hashlib.sha256(data).hexdigest()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        assert error is not None or not self._thread.is_alive()


def digests(client: MinIOClient, bucket: str, prefix: str = "") -> dict[str, str]:
    """SHA-256 of every object below a prefix, of the bytes themselves."""
    return {
        info.key: hashlib.sha256(client.get(bucket, info.key).data).hexdigest()
        for info in client.list(bucket, prefix)
    }
