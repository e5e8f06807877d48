"""What the store hands out: an object with its bytes, or the facts about one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Facts about one object.

    Attributes:
        key: within its bucket.
        size: in bytes.
        etag: the store's version mark, without quotes; opaque, for conditional writes.
        last_modified: by the store's clock, UTC.
        metadata: the writer's own, decoded; empty in listings, which do not carry it.
        content_type: media type; empty in listings.
    """

    key: str
    size: int
    etag: str
    last_modified: dt.datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with its bytes.

    Attributes:
        data: all of it.
        info: the facts.
        store_time: POSIX seconds by the store's clock when it answered; whole seconds.
    """

    data: bytes
    info: ObjectInfo
    store_time: float

    @property
    def etag(self) -> str:
        """The store's version mark, without quotes."""
        return self.info.etag

    @property
    def metadata(self) -> Mapping[str, str]:
        """The writer's own metadata, decoded."""
        return self.info.metadata


@dataclass(frozen=True, slots=True)
class IncompleteUpload:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: dt.datetime
