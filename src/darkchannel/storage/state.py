"""JSON documents that several writers change: compare-and-swap, and nothing else.

Each document carries a ``revision`` that grows by one and the nonce of its last ``writer``.
A change is read, computed and written on the condition that nobody wrote meanwhile; when the
answer to a write is lost, the document is read back and the nonce tells whether it happened.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from darkchannel.errors import (
    InputError,
    IntegrityError,
    JobBusyError,
    PreconditionError,
    StoreUnavailableError,
)
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.retry import backoff

Document = dict[str, Any]

Change = Callable[[Document, float], Document | None]
"""Given a document and the store's time, the document that should be; None for no change.

May be called several times, each time with a fresh document; may raise to give up.
"""

MAX_DOCUMENT_BYTES = 8 * 1024
"""State is written once a second for hours: it has to stay small."""

MAX_CONFLICTS = 50
MAX_OUTAGES = 4


@dataclass(frozen=True, slots=True)
class Version:
    """A document as it was at some time.

    Attributes:
        document: its content.
        etag: for a conditional write over it.
        store_time: POSIX seconds by the store's clock.
    """

    document: Document
    etag: str
    store_time: float


class StateStore:
    """The documents of one bucket.

    Args:
        client: to the store.
        bucket: they lie in.
        check: raises IntegrityError for a document, read under a key, that cannot be right.
        clock: POSIX seconds; by default the store's own clock, which all writers share.

    Attributes:
        clock_step: seconds by which the clock may be behind: the store tells whole seconds.
    """

    def __init__(
        self,
        client: MinIOClient,
        bucket: str,
        check: Callable[[str, Document], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._check = check
        self._clock = clock
        self.clock_step = 1.0 if clock is None else 0.0

    def now(self) -> float:
        """POSIX seconds by the clock that documents are dated with."""
        return self._client.server_time() if self._clock is None else self._clock()

    def read(self, key: str) -> Version:
        """Read a document.

        Raises:
            NotFoundError: there is none.
            IntegrityError: it is not what it should be.
        """
        stored = self._client.get(self._bucket, key, max_bytes=64 * MAX_DOCUMENT_BYTES)
        try:
            document = json.loads(stored.data)
        except ValueError as error:
            raise IntegrityError(f"{self._bucket}/{key} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise IntegrityError(f"{self._bucket}/{key} is not a JSON object")
        self._check(key, document)
        return Version(
            document, stored.etag, stored.store_time if self._clock is None else self._clock()
        )

    def create(self, key: str, document: Document) -> Document:
        """Write the first revision.

        Args:
            key: of the document.
            document: its content; revision, writer and times are added.

        Raises:
            PreconditionError: there is a document already.
            InputError: it is larger than a document of state may be.
        """
        now = timestamp(self.now())
        written = _next({"revision": 0}, {**document, "created_at": now}, now)
        self._client.put(
            self._bucket,
            key,
            encoded(written),
            content_type="application/json",
            if_none_match=True,
        )
        return written

    def change(self, key: str, change: Change, *, outages: int = MAX_OUTAGES) -> Document:
        """Change a document, however many others do so at the same time.

        Args:
            key: of the document.
            change: computes what it should be.
            outages: how often the store may fail to answer before that is raised.

        Returns:
            The document as written, or as it is when there was nothing to change.

        Raises:
            NotFoundError: there is none.
            JobBusyError: others kept writing for all of 50 attempts.
            StoreUnavailableError: no answer; the change may still happen.
            InputError: it has become larger than a document of state may be.
        """
        tried: set[str] = set()
        conflicts = failures = 0
        while True:
            try:
                version = self.read(key)
                if version.document.get("writer") in tried:
                    return version.document
                wanted = change(dict(version.document), version.store_time)
                if wanted is None:
                    return version.document
                written = _next(version.document, wanted, timestamp(version.store_time))
                tried.add(written["writer"])
                self._client.put(
                    self._bucket,
                    key,
                    encoded(written),
                    content_type="application/json",
                    if_match=version.etag,
                )
                return written
            except PreconditionError as error:
                conflicts += 1
                if conflicts >= MAX_CONFLICTS:
                    raise JobBusyError(
                        f"{key} could not be changed: others wrote it {conflicts} times meanwhile",
                        remedy="try again in a moment",
                    ) from error
                # The more have lost already, the wider they spread.
                time.sleep(random.uniform(0, min(0.5, 0.02 * conflicts)))  # noqa: S311
            except StoreUnavailableError:
                failures += 1
                if failures >= outages:
                    raise
                time.sleep(backoff(failures))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with ``Z``, whole seconds."""
    moment = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def seconds_of(stamp: str) -> float:
    """Read :func:`timestamp` back.

    Raises:
        ValueError: it is not one.
    """
    return dt.datetime.fromisoformat(stamp).timestamp()


def _next(base: Document, wanted: Document, now: str) -> Document:
    return {
        **wanted,
        "updated_at": now,
        "revision": base["revision"] + 1,
        "writer": secrets.token_hex(8),
    }


def encoded(document: Document) -> bytes:
    """The bytes of a document.

    Raises:
        InputError: it is larger than :data:`MAX_DOCUMENT_BYTES`, or holds what JSON cannot.
    """
    try:
        data = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"job metadata cannot be kept as JSON: {error}") from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"job metadata would take {len(data)} bytes; at most {MAX_DOCUMENT_BYTES} are kept",
            remedy="keep large values in an object of their own",
        )
    return data
