"""Verbs on whole buckets and on the server: list, clear out, is it there, what time is it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from darkchannel.config import Settings, StoreConfig
from darkchannel.errors import NotFoundError, SettingError, StoreAccessError, StoreError
from darkchannel.storage.answers import date, plain_etag
from darkchannel.storage.connections import Connections
from darkchannel.storage.objects import IncompleteUpload, ObjectInfo
from darkchannel.storage.s3_errors import (
    error_code,
    http_status,
    may_not_create,
    not_s3,
    shown_endpoint,
    translated,
    translated_write,
)

DELETE_BATCH = 1000
"""S3's own limit of keys in one DeleteObjects call."""

Rule = dict[str, Any]
"""A lifecycle rule in S3's own words: ``ID``, ``Status``, ``Filter``, ``Expiration``, ..."""


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
        """Create the four buckets where they are missing.

        Raises:
            StoreAccessError: one is missing and this user may not create it.
        """
        for bucket in self.config.buckets:
            if self.has_bucket(bucket) is False:
                self.create_bucket(bucket)

    def has_bucket(self, bucket: str) -> bool | None:
        """Whether there is such a bucket; None where this user may not know.

        A user who may list only below some prefix is refused a look at the bucket itself, on
        MinIO as on AWS.
        """
        try:
            with self._errors("look up", bucket):
                self._connections.retried.head_bucket(Bucket=bucket)
        except NotFoundError:
            return False
        except StoreAccessError:
            # An answer to HEAD has no body: unknown credentials look the same as a narrow policy.
            return self._has_bucket_within(bucket)
        return True

    def _has_bucket_within(self, bucket: str) -> bool | None:
        found = {"NoSuchKey": True, "NoSuchBucket": False, "AccessDenied": None}
        with self._errors("look into", bucket):
            try:
                self._connections.retried.get_object(Bucket=bucket, Key=".probe")["Body"].close()
            except ClientError as error:
                if error_code(error) not in found:
                    raise
                return found[error_code(error)]
        return True

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket; one of ours that is there already is no error.

        Raises:
            StoreAccessError: this user may not create buckets.
        """
        with self._writing("create bucket", bucket):
            try:
                self._connections.retried.create_bucket(Bucket=bucket)
            except ClientError as error:
                # Another process was faster.
                if error_code(error) in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    return
                if error_code(error) == "AccessDenied":
                    raise may_not_create(self.config, bucket) from error
                raise

    def delete_bucket(self, bucket: str) -> None:
        """Delete an empty bucket; one that is not there is no error."""
        try:
            with self._errors("delete bucket", bucket):
                self._connections.retried.delete_bucket(Bucket=bucket)
        except NotFoundError:
            return

    def lifecycle_rules(self, bucket: str) -> Sequence[Rule]:
        """The rules by which the server deletes from a bucket; none where nobody made any.

        Raises:
            StoreAccessError: this user may not see them.
        """
        with self._errors("read the lifecycle of", bucket):
            try:
                client = self._connections.retried
                answer = client.get_bucket_lifecycle_configuration(Bucket=bucket)
            except ClientError as error:
                if error_code(error) == "NoSuchLifecycleConfiguration":
                    return []
                raise
        return [dict(rule) for rule in answer.get("Rules", [])]

    def set_lifecycle_rules(self, bucket: str, rules: Sequence[Rule]) -> None:
        """Replace all rules of a bucket; none at all is what it has at first.

        Raises:
            StoreAccessError: this user may not.
            StoreError: the server does not know such rules.
        """
        configuration: Any = {"Rules": rules}
        client = self._connections.retried
        with self._writing("set the lifecycle of", bucket):
            if rules:
                client.put_bucket_lifecycle_configuration(
                    Bucket=bucket, LifecycleConfiguration=configuration
                )
            else:
                client.delete_bucket_lifecycle(Bucket=bucket)

    def expiry_of(self, bucket: str, key: str) -> dt.datetime | None:
        """When a lifecycle rule will delete an object, as the server tells whoever may read it.

        Returns:
            None where no rule will, or the server does not tell.
        """
        with self._errors("look up", bucket, key):
            answer = self._connections.retried.head_object(Bucket=bucket, Key=key)
        told = re.search(r'expiry-date="([^"]+)"', answer.get("Expiration", ""))
        return None if told is None else parsedate_to_datetime(told[1])

    def creates_on_if_match(self, bucket: str, key: str) -> bool:
        """Whether the server makes an object that is absent when told to write over a version.

        MinIO does.  Tried for real, past :meth:`MinIOClient.put`, which prevents it; what the
        server makes of it is deleted again.

        Args:
            bucket: to try it in.
            key: that no object has.
        """
        with self._writing("write", bucket, key):
            client = self._connections.single
            try:
                client.put_object(Bucket=bucket, Key=key, Body=b"", IfMatch=f'"{"0" * 32}"')
            except ClientError as error:
                if http_status(error) in {404, 409, 412}:
                    return False
                raise
        with self._errors("delete", bucket, key):
            self._connections.retried.delete_object(Bucket=bucket, Key=key)
        return True

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
        """Multipart uploads to this bucket begun and neither completed nor aborted."""
        with self._errors("list uploads of", bucket):
            pages = self._connections.retried.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=bucket):
                for entry in page.get("Uploads", []):
                    upload = IncompleteUpload(entry["Key"], entry["UploadId"], entry["Initiated"])
                    if self._is_upload_to(bucket, upload):
                        yield upload

    def _is_upload_to(self, bucket: str, upload: IncompleteUpload) -> bool:
        # MinIO names the uploads to every bucket, whichever it is asked about.
        try:
            with self._errors("look at an upload to", bucket, upload.key):
                self._connections.retried.list_parts(
                    Bucket=bucket, Key=upload.key, UploadId=upload.upload_id, MaxParts=1
                )
        except NotFoundError:
            return False
        return True

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
