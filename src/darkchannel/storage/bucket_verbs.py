"""Verbs on whole buckets and on the server: list, clear out, is it there, what time is it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from botocore.exceptions import ClientError

from darkchannel.config import Settings, StoreConfig
from darkchannel.errors import NotFoundError, SettingError, StoreError
from darkchannel.storage.answers import date, plain_etag
from darkchannel.storage.connections import Connections
from darkchannel.storage.objects import IncompleteUpload, ObjectInfo
from darkchannel.storage.s3_errors import (
    error_code,
    not_s3,
    shown_endpoint,
    translated,
    translated_write,
)

DELETE_BATCH = 1000
"""S3's own limit of keys in one DeleteObjects call."""


class BucketVerbs:
    """The part of :class:`darkchannel.storage.client.MinIOClient` that is not about one object."""

    def __init__(
        self,
        config: StoreConfig | None = None,
        *,
        connect_timeout: float = 3.0,
        read_timeout: float = 60.0,
    ) -> None:
        if config is None:
            config = Settings.from_environment().store
        if config is None:
            raise SettingError(
                "no store is configured: MINIO_ENDPOINT is not set",
                remedy="run `darkchannel store serve` and set the environment it prints",
            )
        self.config = config
        self._connections = Connections(config, connect_timeout, read_timeout)

    def __repr__(self) -> str:
        return f"MinIOClient({shown_endpoint(self.config.endpoint)!r})"

    def ensure_buckets(self) -> None:
        """Create the four buckets where they are missing."""
        for bucket in self.config.buckets:
            try:
                with self._errors("look up", bucket):
                    self._connections.retried.head_bucket(Bucket=bucket)
            except NotFoundError:
                self._create_bucket(bucket)

    def _create_bucket(self, bucket: str) -> None:
        with self._writing("create bucket", bucket):
            try:
                self._connections.retried.create_bucket(Bucket=bucket)
            except ClientError as error:
                # Another process was faster.
                if error_code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def server_time(self) -> float:
        """The store's clock: POSIX seconds, whole, from the Date of an answer."""
        bucket = self.config.buckets.jobs
        with self._errors("ask the time of", bucket):
            try:
                answer: Mapping[str, Any] = self._connections.probe.head_bucket(Bucket=bucket)
            except ClientError as error:
                # A refusal carries the time as well, and not every user may look at a bucket.
                answer = error.response
                if date(answer) is None:
                    raise
        time = date(answer)
        if time is None:
            raise StoreError("the store's answers carry no Date: leases need its clock")
        return time

    def ping(self) -> None:
        """Ask whether the server is there and knows the credentials; answers within seconds.

        Raises:
            StoreUnavailableError: no answer.
            StoreAccessError: the credentials are unknown to it.
            StoreError: it is no S3 server.
        """
        bucket = self.config.buckets.jobs
        with self._errors("list", bucket):
            try:
                answer = self._connections.probe.list_objects_v2(Bucket=bucket, MaxKeys=1)
                if "Name" not in answer:  # any well-formed page would do for the parser
                    raise not_s3(self.config, f"list {bucket}")
            except ClientError as error:
                # Known, but not allowed to list, or nothing set up yet: it is there.
                if error_code(error) not in {"AccessDenied", "NoSuchBucket"}:
                    raise

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key begins with a prefix, read page by page.

        They come in order of their names within a folder; in what order folders come is the
        server's own affair.
        """
        with self._errors("list", bucket):
            pages = self._connections.retried.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield ObjectInfo(
                        entry["Key"],
                        entry["Size"],
                        plain_etag(entry["ETag"]),
                        entry["LastModified"],
                    )

    def list_folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """Names directly below a prefix that have, or had a moment ago, objects below them.

        Args:
            bucket: to look in.
            prefix: empty or ending with ``/``.
        """
        with self._errors("list", bucket):
            pages = self._connections.retried.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
                for entry in page.get("CommonPrefixes", []):
                    yield entry["Prefix"][len(prefix) : -1]

    def delete_many(self, bucket: str, keys: Iterable[str]) -> int:
        """Delete objects, a thousand a call; those that are not there are no error.

        Returns:
            How many were asked to be deleted.

        Raises:
            StoreError: the server could not delete one of them; the rest of its thousand is gone.
        """
        count = 0
        batch: list[str] = []
        for key in keys:
            batch.append(key)
            if len(batch) == DELETE_BATCH:
                count += self._delete_batch(bucket, batch)
                batch = []
        return count + self._delete_batch(bucket, batch)

    def _delete_batch(self, bucket: str, batch: Sequence[str]) -> int:
        if not batch:
            return 0
        with self._errors("delete from", bucket):
            answer = self._connections.retried.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
        for failure in answer.get("Errors", []):
            if failure.get("Code") != "NoSuchKey":
                raise StoreError(
                    f"{bucket}/{failure.get('Key', '?')} could not be deleted: "
                    f"{failure.get('Code', 'no reason given')}"
                )
        return len(batch)

    def incomplete_uploads(self, bucket: str) -> Iterator[IncompleteUpload]:
        """Multipart uploads begun and neither completed nor aborted.

        MinIO (release 2025-04-22) names those of other buckets as well.
        """
        with self._errors("list uploads of", bucket):
            pages = self._connections.retried.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=bucket):
                for entry in page.get("Uploads", []):
                    yield IncompleteUpload(entry["Key"], entry["UploadId"], entry["Initiated"])

    def abort_upload(self, bucket: str, upload: IncompleteUpload) -> None:
        """Drop the parts of an incomplete upload; one that is not there is no error."""
        try:
            with self._errors("abort an upload to", bucket, upload.key):
                self._connections.retried.abort_multipart_upload(
                    Bucket=bucket, Key=upload.key, UploadId=upload.upload_id
                )
        except NotFoundError:
            return

    def _errors(self, act: str, bucket: str, key: str = "") -> AbstractContextManager[None]:
        return translated(self.config, act, bucket, key)

    def _writing(self, act: str, bucket: str, key: str = "") -> AbstractContextManager[None]:
        return translated_write(self.config, act, bucket, key)
