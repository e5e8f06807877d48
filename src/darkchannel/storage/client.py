"""The S3 client: every verb the project uses, typed, with errors of our own tree."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from darkchannel.errors import (
    InputError,
    NotFoundError,
    PreconditionError,
    SettingError,
    StoreError,
    StoreUnavailableError,
)
from darkchannel.storage import transfer, user_metadata
from darkchannel.storage.answers import ObjectAnswer, object_info, plain_etag
from darkchannel.storage.bucket_verbs import BucketVerbs
from darkchannel.storage.keys import check_key, safe_name
from darkchannel.storage.objects import ObjectInfo, StoredObject

MAX_GET_BYTES = 64 * 1024 * 1024
"""What :meth:`MinIOClient.get` reads into memory unless told otherwise."""

MAX_LINK_SECONDS = 604_800
"""Seven days: the longest life of a presigned URL (AWS Signature Version 4)."""


class MinIOClient(BucketVerbs):
    """An S3 store: MinIO, SeaweedFS or any other.

    Safe to share between threads, to pickle, and to use after a fork; connects when first used.
    Calls that may happen twice are tried up to three times with growing pauses; for longer
    patience wrap them in :func:`darkchannel.storage.retry.retrying`.

    Every object written carries the SHA-256 of its bytes in its metadata, and reading checks
    it.  All verbs raise InvalidKeyError for a key that is not allowed, NotFoundError where
    there is no such object or bucket, StoreUnavailableError when no answer comes,
    StoreAccessError when the server refuses, and StoreFullError when it has no room.

    Args:
        config: how to reach the server; None reads it from the environment.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next bytes of an answer.

    Raises:
        SettingError: no config is given and the environment has none.
    """

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> str:
        """Write an object.

        A conditional write whose answer is lost is looked up: when the object holds exactly
        these bytes, it has succeeded.  So put something unique (a nonce) into data whose
        writer matters.

        Args:
            bucket: to write to.
            key: to write.
            data: all of it.
            content_type: media type; by default guessed from the key.
            metadata: names of lower-case ASCII, values of any text, 2 KiB in all.
            if_match: write only over the version with this ETag.  An absent object counts as
                another version.  MinIO would create it: that is prevented by looking first,
                and remains possible for a deletion between the look and the write.
            if_none_match: write only if there is no such object.

        Returns:
            The new ETag.

        Raises:
            PreconditionError: the condition does not hold.
            StoreUnavailableError: no answer; a conditional write may still happen later.
            InputError: the metadata cannot be kept.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        arguments: dict[str, Any] = {
            "Bucket": bucket,
            "Key": check_key(key),
            "Body": data,
            "ContentType": content_type or _guessed_type(key),
            "Metadata": user_metadata.encode({**(metadata or {}), "sha256": sha256}),
        }
        if if_match is None and not if_none_match:
            with self._writing("write", bucket, key):
                return plain_etag(self._connections.retried.put_object(**arguments)["ETag"])
        if if_match is not None:
            self._require_version(bucket, key, if_match)
            arguments["IfMatch"] = f'"{if_match}"'
        else:
            arguments["IfNoneMatch"] = "*"
        try:
            with self._writing("write", bucket, key):
                return plain_etag(self._connections.single.put_object(**arguments)["ETag"])
        except StoreUnavailableError:
            landed = self._version_holding(bucket, key, sha256)
            if landed is None:
                raise
            return landed

    def _require_version(self, bucket: str, key: str, etag: str) -> None:
        try:
            current = self.head(bucket, key).etag
        except NotFoundError as error:
            raise PreconditionError(f"{bucket}/{key} does not exist (any more)") from error
        if current != etag:
            raise PreconditionError(
                f"{bucket}/{key} is not in the state expected: somebody else wrote it meanwhile",
                remedy="read it again and repeat the change",
            )

    def _version_holding(self, bucket: str, key: str, sha256: str) -> str | None:
        try:
            info = self.head(bucket, key)
        except NotFoundError:
            return None
        return info.etag if info.metadata.get("sha256") == sha256 else None

    def get(self, bucket: str, key: str, *, max_bytes: int = MAX_GET_BYTES) -> StoredObject:
        """Read a whole object into memory.

        Raises:
            StoreError: it is larger than max_bytes.
            IntegrityError: the bytes are not those that were written.
        """
        with self.open(bucket, key) as stream:
            if stream.info.size > max_bytes:
                raise StoreError(
                    f"{bucket}/{key} has {stream.info.size} bytes; at most {max_bytes} expected"
                )
            return StoredObject(b"".join(stream), stream.info, stream.store_time)

    @contextmanager
    def open(self, bucket: str, key: str) -> Iterator[transfer.ObjectStream]:
        """Stream an object: ``with client.open(bucket, key) as blocks: for block in blocks``.

        Raises (also while iterating):
            IntegrityError: the bytes are not those that were written.
            PreconditionError: the object was replaced while it was being read.
        """
        check_key(key)

        def request(start: int, etag: str | None) -> transfer.Answer:
            arguments: dict[str, Any] = {"Bucket": bucket, "Key": key}
            if start:
                arguments["Range"] = f"bytes={start}-"
            if etag is not None:
                arguments["IfMatch"] = f'"{etag}"'
            with self._errors("read", bucket, key):
                output = self._connections.retried.get_object(**arguments)
            return ObjectAnswer(output, key, start, lambda: self._errors("read", bucket, key))

        stream = transfer.ObjectStream(request, time.sleep)
        try:
            yield stream
        finally:
            stream.close()

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Facts about an object."""
        with self._errors("look up", bucket, key):
            answer = self._connections.retried.head_object(Bucket=bucket, Key=check_key(key))
        return object_info(key, answer)

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self.head(bucket, key)
        except NotFoundError:
            return False
        return True

    def copy(
        self,
        bucket: str,
        key: str,
        to_bucket: str,
        to_key: str,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Copy an object inside the store.

        Args:
            bucket: of the source.
            key: of the source.
            to_bucket: of the copy.
            to_key: of the copy.
            metadata: of the copy; None keeps the source's.  The SHA-256 is always kept.
        """
        arguments: dict[str, Any] = {
            "Bucket": to_bucket,
            "Key": check_key(to_key),
            "CopySource": {"Bucket": bucket, "Key": check_key(key)},
        }
        if metadata is not None:
            source = self.head(bucket, key)
            kept = {name: source.metadata[name] for name in ("sha256",) if name in source.metadata}
            arguments |= {
                "MetadataDirective": "REPLACE",
                "Metadata": user_metadata.encode({**metadata, **kept}),
                "ContentType": source.content_type,
                "CopySourceIfMatch": f'"{source.etag}"',
            }
        with self._writing("copy", bucket, key):
            self._connections.retried.copy_object(**arguments)
        return self.head(to_bucket, to_key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        with self._errors("delete", bucket, key):
            self._connections.retried.delete_object(Bucket=bucket, Key=check_key(key))

    def upload_file(
        self,
        file_path: str | Path,
        bucket: str,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: transfer.OnProgress | None = None,
    ) -> ObjectInfo:
        """Upload a file without reading it into memory, in parts above 64 MiB.

        Args:
            file_path: to read.
            bucket: to write to.
            key: to write.
            content_type: media type; by default guessed from the key.
            metadata: as for :meth:`put`.
            on_progress: told bytes sent so far and in all.

        Raises:
            InputError: the file cannot be read, or the metadata cannot be kept.
            StoreError: the file changed meanwhile.
        """
        check_key(key)
        path = Path(file_path)
        try:
            sha256 = transfer.file_sha256(path)
            extra: dict[str, object] = {
                "ContentType": content_type or _guessed_type(key),
                "Metadata": user_metadata.encode({**(metadata or {}), "sha256": sha256}),
            }
            with self._writing("upload", bucket, key):
                transfer.send(
                    self._connections.retried,
                    path,
                    {"bucket": bucket, "key": key, "extra_args": extra},
                    on_progress,
                )
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        return self.head(bucket, key)

    def download_file(
        self,
        bucket: str,
        key: str,
        file_path: str | Path,
        *,
        on_progress: transfer.OnProgress | None = None,
    ) -> ObjectInfo:
        """Download an object to a file, which appears only when complete and checked.

        Args:
            bucket: to read from.
            key: to read.
            file_path: to write; replaced if it exists.
            on_progress: told bytes received so far and in all.

        Raises:
            OutputError: the file cannot be written.
            IntegrityError: the bytes are not those that were written.
            PreconditionError: the object was replaced while it was being read.
        """
        with self.open(bucket, key) as stream:
            transfer.save(stream, Path(file_path), on_progress)
            return stream.info

    def generate_presigned_url(
        self,
        bucket: str,
        key: str,
        expiration: int = 3600,
        *,
        download_name: str | None = None,
        head: bool = False,
    ) -> str:
        """A link that anybody may read the object with, until it expires.

        It names the public endpoint and is signed with the credentials for links.  Whether the
        object exists is not looked up.

        Args:
            bucket: to read from.
            key: to read.
            expiration: seconds, 1 to 604,800.
            download_name: file name a browser saves under; None lets it play the file.
            head: sign for HEAD instead of GET; a signature holds for one of them.

        Raises:
            SettingError: the expiration is out of bounds.
        """
        if not 1 <= expiration <= MAX_LINK_SECONDS:
            raise SettingError(
                f"a link cannot expire after {expiration} seconds",
                remedy=f"choose 1 to {MAX_LINK_SECONDS} seconds (7 days)",
            )
        parameters = {"Bucket": bucket, "Key": check_key(key)}
        if download_name is not None:
            parameters["ResponseContentDisposition"] = _attachment(download_name)
        with self._errors("sign a link to", bucket, key):
            return self._connections.signing.generate_presigned_url(
                "head_object" if head else "get_object",
                Params=parameters,
                ExpiresIn=int(expiration),
            )


def _guessed_type(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _attachment(name: str) -> str:
    # RFC 6266: a plain name for old readers, the real one beside it.
    stem, dot, ext = name.rpartition(".")
    shown = f"{safe_name(stem)}.{safe_name(ext)}" if dot and stem else safe_name(name)
    plain = shown.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
