"""What belongs to a job and is written once: its input and its plan."""

from __future__ import annotations

import hashlib

from darkchannel.errors import IntegrityError, NotFoundError, PreconditionError
from darkchannel.storage.client import MinIOClient


class JobFiles:
    """Objects beside a job's metadata, which knows their digests.

    Args:
        client: to the store.
        bucket: of the jobs.
    """

    def __init__(self, client: MinIOClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_once(self, key: str, data: bytes) -> bool:
        """Write unless there is something already.

        Returns:
            Whether it was written.
        """
        try:
            self._client.put(self._bucket, key, data, if_none_match=True)
        except PreconditionError:
            return False
        return True

    def write(self, key: str, data: bytes) -> None:
        """Make the object hold these bytes; nothing is sent twice.

        Raises:
            PreconditionError: somebody else wrote other bytes at the same moment.
        """
        if self.write_once(key, data):
            return
        info = self._client.head(self._bucket, key)
        if info.metadata.get("sha256") != hashlib.sha256(data).hexdigest():
            self._client.put(self._bucket, key, data, if_match=info.etag)

    def read(self, key: str) -> bytes:
        """All bytes.

        Raises:
            NotFoundError: there is no such object.
        """
        return self._client.get(self._bucket, key).data

    def read_unchanged(self, key: str, sha256: str) -> bytes:
        """All bytes, known to be those that were written.

        Raises:
            IntegrityError: the object is missing or has been changed.
        """
        job_id = key.partition("/")[0]
        remedy = f"delete the job and create it again: darkchannel jobs delete {job_id}"
        try:
            data = self.read(key)
        except NotFoundError as error:
            raise IntegrityError(f"{key} is missing", remedy=remedy) from error
        except IntegrityError as error:
            raise IntegrityError(error.message, remedy=remedy) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise IntegrityError(f"{key} was changed after it was written", remedy=remedy)
        return data
