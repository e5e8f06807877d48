"""What the server's answers say, in our own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from darkchannel.storage import user_metadata
from darkchannel.storage.objects import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


class ObjectAnswer:
    """An open answer with the bytes of an object from some offset on.

    Args:
        output: of GetObject.
        key: of the object.
        start: the offset asked for.
        errors: translates what goes wrong while reading.
    """

    def __init__(
        self,
        output: GetObjectOutputTypeDef,
        key: str,
        start: int,
        errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.info = object_info(key, output, start)
        self.store_time = date(output) or 0.0
        self._body = output["Body"]
        self._errors = errors

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        with self._errors():
            return self._body.read(size)

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


def object_info(key: str, answer: Mapping[str, Any], start: int = 0) -> ObjectInfo:
    """Facts from an answer to HeadObject or GetObject."""
    return ObjectInfo(
        key=key,
        size=start + answer["ContentLength"],
        etag=plain_etag(answer["ETag"]),
        last_modified=answer["LastModified"],
        metadata=user_metadata.decode(answer.get("Metadata", {})),
        content_type=answer.get("ContentType", ""),
    )


def plain_etag(etag: str) -> str:
    """An ETag without the quotes, which servers put or leave out as they like."""
    return etag.strip('"')


def date(answer: Mapping[str, Any]) -> float | None:
    """POSIX seconds of an answer's Date, or None where it has none."""
    value = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return None if value is None else parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
