"""Bytes of objects on their way: streams that survive a broken connection, and whole files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from darkchannel.errors import IntegrityError, OutputError, StoreError, StoreUnavailableError
from darkchannel.storage.objects import ObjectInfo
from darkchannel.storage.retry import backoff

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BLOCK = 256 * 1024
"""Bytes handed on at a time."""

MULTIPART_ABOVE = 64 * 1024 * 1024
PART = 16 * 1024 * 1024
"""Parts of a large upload; read from disk as they go, so memory does not grow with them."""

STALLED_ATTEMPTS = 5
"""How often a stream is taken up again without a single new byte before it is given up."""

OnProgress = Callable[[int, int], None]
"""Told the bytes moved so far and the bytes in all; called from one thread at a time."""


class Answer(Protocol):
    """An open answer of the server: bytes from some offset to the object's end."""

    info: ObjectInfo
    store_time: float

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end. Raises StoreUnavailableError when broken."""
        ...

    def close(self) -> None:
        """Give the connection back or drop it."""
        ...


class ObjectStream:
    """The bytes of one object, block by block.

    A broken connection is taken up again at the byte reached, of the same version of the
    object.  At the end the size is checked, and the SHA-256 where the metadata has one.

    Attributes:
        info: facts about the object.
        store_time: POSIX seconds by the store's clock when it first answered.
    """

    def __init__(
        self, request: Callable[[int, str | None], Answer], sleep: Callable[[float], None]
    ) -> None:
        """Send the first request.

        Args:
            request: opens the object at an offset; given an ETag, only that version of it.
            sleep: waits that many seconds.
        """
        answer = request(0, None)
        self._request = request
        self._sleep = sleep
        self._answer: Answer | None = answer
        self.info = answer.info
        self.store_time = answer.store_time

    def __iter__(self) -> Iterator[bytes]:
        """Yield the object's blocks once.

        Raises:
            StoreUnavailableError: the stream broke and could not be taken up again.
            PreconditionError: the object was replaced while it was being read.
            IntegrityError: the bytes are not those that were written.
        """
        digest = hashlib.sha256()
        position = stalled = 0
        while True:
            try:
                if self._answer is None:
                    self._answer = self._request(position, self.info.etag)
                block = self._answer.read(BLOCK)
            except StoreUnavailableError:
                stalled += 1
                if stalled >= STALLED_ATTEMPTS:
                    raise
                self.close()
                self._sleep(backoff(stalled))
                continue
            if not block:
                break
            stalled = 0
            position += len(block)
            digest.update(block)
            yield block
        check_bytes(self.info, position, digest.hexdigest())

    def close(self) -> None:
        """Let go of the connection."""
        if self._answer is not None:
            self._answer.close()
        self._answer = None


def check_bytes(info: ObjectInfo, size: int, sha256: str) -> None:
    """Compare what was read with what the object says of itself.

    Raises:
        IntegrityError: size or SHA-256 differ.
    """
    if size != info.size:
        raise IntegrityError(f"{info.key}: {size} bytes came instead of {info.size}")
    expected = info.metadata.get("sha256")
    if expected is not None and expected != sha256:
        raise IntegrityError(
            f"{info.key}: the bytes have SHA-256 {sha256[:12]}..., expected {expected[:12]}...",
            remedy="the object was damaged or replaced in the store; delete it and make it again",
        )


def save(stream: ObjectStream, target: Path, on_progress: OnProgress | None) -> None:
    """Write a stream to a file that appears only when it is complete and checked.

    Raises:
        OutputError: the file cannot be written.
        IntegrityError, StoreUnavailableError, PreconditionError: as iterating the stream.
    """
    temporary = target.with_name(f".darkchannel-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            done = 0
            for block in stream:
                file.write(block)
                done += len(block)
                if on_progress is not None:
                    on_progress(done, stream.info.size)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}",
            remedy="check that the directory exists, may be written to, and has room",
        ) from error
    finally:
        # Usually gone by now; and what stopped the writing is what has to be told.
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    # Without this a power cut may undo the renaming; not every file system allows it.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in one pass."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Progress:
    """Counts what s3transfer reports (from its threads, and backwards when a part is resent)."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total = total
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = 0

    def __call__(self, moved: int) -> None:
        with self._lock:
            self._done += moved
            self._on_progress(self._done, self._total)


def send(
    client: S3Client,
    path: Path,
    target: Mapping[str, Any],
    on_progress: OnProgress | None,
) -> None:
    """Upload a file, in parts above 64 MiB; a failed upload leaves no parts behind.

    Args:
        client: that may try each part again.
        path: to read.
        target: ``bucket``, ``key`` and the ``extra_args`` of the object.
        on_progress: told bytes sent so far and in all.

    Raises:
        OSError: the file cannot be read.
        StoreError: the file changed meanwhile.
        botocore errors: as they come.
    """
    from boto3.s3.transfer import ProgressCallbackInvoker
    from s3transfer.manager import TransferConfig, TransferManager

    before = path.stat()
    subscribers = []
    if on_progress is not None:
        counter = _Progress(before.st_size, on_progress)
        subscribers.append(ProgressCallbackInvoker(counter))
    config = TransferConfig(
        multipart_threshold=MULTIPART_ABOVE + 1,
        multipart_chunksize=PART,
        max_request_concurrency=4,
    )
    with TransferManager(client, config) as manager:
        manager.upload(str(path), **target, subscribers=subscribers).result()
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StoreError(
            f"{path} changed while it was uploaded", remedy="upload it again when it is finished"
        )
