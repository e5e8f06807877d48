"""From what botocore raises to our own tree, in one place.

Messages name the server, the bucket and the key, and never a credential.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from darkchannel.config import StoreConfig
from darkchannel.errors import (
    DarkChannelError,
    InvalidKeyError,
    NotFoundError,
    PreconditionError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

_WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
_ACCESS = {"AccessDenied", "AuthorizationHeaderMalformed", "InvalidToken"} | _WRONG_KEYS
_FULL = {
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "InsufficientStorage",
    "QuotaExceeded",
}
_FULL_TEXTS = ("no space left", "disk full", "minimum free drive threshold", "storage is full")
_BUSY = {"SlowDown", "RequestTimeout", "RequestTimeTooLong", "OperationAborted", "InternalError"}
_BAD_NAME = {"InvalidBucketName", "KeyTooLongError", "XMinioInvalidObjectName", "InvalidObjectName"}
BY_SETUP = "scripts/minio-setup.sh on MinIO, `darkchannel store setup` on any server"
"""How buckets and what expires in them are made."""

_NO_ANSWERS = (boto.HTTPClientError, boto.ConnectionError)


def shown_endpoint(endpoint: str) -> str:
    """The address without a user name or password that somebody may have put into it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def error_code(error: boto.ClientError) -> str:
    """The S3 error code, or the HTTP status where the answer to a HEAD does not tell it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if not code.isdecimal():
        return code
    # An answer to HEAD has no body; MinIO says in a header what it would have said there.
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-minio-error-code", code))


def http_status(error: boto.ClientError) -> int:
    """HTTP status of the answer; 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def translated(config: StoreConfig, act: str, bucket: str = "", key: str = "") -> Iterator[None]:
    """Turn whatever botocore raises inside into our own tree.

    Args:
        config: of the server.
        act: what was being done, as a verb: ``read``, ``write``, ``list``.
        bucket: concerned; may be empty.
        key: concerned; may be empty.

    Raises:
        StoreUnavailableError: no answer, a broken one, or the server asks for patience.
        StoreAccessError: credentials or permission.
        NotFoundError: no such object or bucket.
        PreconditionError: a condition did not hold.
        StoreFullError: no space left.
        InvalidKeyError: the server does not allow the name.
        StoreError: anything else.
    """
    place = "/".join(part for part in (bucket, key) if part)
    what = f"{act} {place}" if place else act
    endpoint = shown_endpoint(config.endpoint)
    try:
        yield
    except boto.ClientError as error:
        raise _from_answer(error, endpoint, what, place) from error
    except boto.SSLError as error:
        raise StoreUnavailableError(
            f"no trusted TLS connection to the store at {endpoint}: {error}",
            remedy="check the certificate; AWS_CA_BUNDLE names a file of further authorities",
        ) from error
    except (boto.IncompleteReadError, boto.ResponseStreamingError) as error:
        raise StoreUnavailableError(
            f"the store at {endpoint} broke off its answer (to {what})",
            remedy="check the network and any proxy between here and the store",
        ) from error
    except _NO_ANSWERS as error:
        raise StoreUnavailableError(
            f"the store at {endpoint} does not answer (to {what}): {type(error).__name__}",
            remedy="check that the server runs and that MINIO_ENDPOINT is its address",
        ) from error
    except (boto.ParamValidationError, boto.UnsupportedS3ArnError) as error:
        raise InvalidKeyError(f"the store cannot {what}: {error}") from error
    except (ResponseParserError, boto.BotoCoreError) as error:
        raise not_s3(config, what) from error


def not_s3(config: StoreConfig, what: str) -> StoreError:
    """The server answered, but not as an S3 server does."""
    return StoreError(
        f"{shown_endpoint(config.endpoint)} gave an answer that is not S3 (to {what})",
        remedy="check that MINIO_ENDPOINT is the S3 port, not a web console",
    )


def may_not_create(config: StoreConfig, bucket: str) -> StoreAccessError:
    """A bucket is missing, and this user has no business making it."""
    return StoreAccessError(
        f"the store at {shown_endpoint(config.endpoint)} has no bucket {bucket}, "
        "and this user may not create it",
        remedy=f"create the buckets as the store's administrator: {BY_SETUP}",
    )


@contextmanager
def translated_write(config: StoreConfig, act: str, bucket: str, key: str = "") -> Iterator[None]:
    """As :func:`translated`, for what needs room: tells a full disk from another failure."""
    try:
        with translated(config, act, bucket, key):
            yield
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, boto.ClientError) and _disk_is_full(config.data_dir):
            raise _full(shown_endpoint(config.endpoint), f"{act} {bucket}/{key}") from error
        raise


def _disk_is_full(data_dir: Path | None) -> bool:
    # SeaweedFS stops writing when no further volume fits (64 to 128 MB in its mini mode) or when
    # 1 % of the disk is left, and answers "internal error" in both cases.
    if data_dir is None or not data_dir.exists():
        return False
    usage = shutil.disk_usage(data_dir)
    return usage.free < max(128 * 1024 * 1024, usage.total // 100)


def _from_answer(error: boto.ClientError, endpoint: str, what: str, place: str) -> DarkChannelError:
    code, status = error_code(error), http_status(error)
    text = str(error.response.get("Error", {}).get("Message", ""))
    if code in _FULL or status == 507 or any(mark in text.lower() for mark in _FULL_TEXTS):
        found: DarkChannelError = _full(endpoint, what)
    elif status == 412 or code in {"PreconditionFailed", "ConditionalRequestConflict"}:
        found = PreconditionError(
            f"{place} is not in the state expected: somebody else wrote it meanwhile",
            remedy="read it again and repeat the change",
        )
    elif status == 404:
        found = _missing(code, endpoint, place)
    elif status in {401, 403} or code in _ACCESS:
        found = _refused(code or str(status), endpoint, what)
    elif code in _BAD_NAME:
        found = InvalidKeyError(f"the store at {endpoint} does not allow the name {place}")
    elif status == 501:
        found = StoreError(f"the store at {endpoint} does not know how to {what}")
    elif status >= 500 or status in {408, 429} or code in _BUSY:
        found = StoreUnavailableError(
            f"the store at {endpoint} cannot {what} now: {status} {code}",
            remedy="check the server's log and the free space on its disk, and try again",
        )
    else:
        found = StoreError(f"the store at {endpoint} refused to {what}: {status} {code} {text}")
    return found


def _missing(code: str, endpoint: str, place: str) -> NotFoundError:
    bucket, _, key = place.partition("/")
    if code == "NoSuchBucket" or not key:
        return NotFoundError(
            f"the store at {endpoint} has no bucket {bucket}",
            remedy="create the buckets: darkchannel store setup",
        )
    return NotFoundError(f"the store at {endpoint} has no object {place}")


def _full(endpoint: str, what: str) -> StoreFullError:
    return StoreFullError(
        f"the store at {endpoint} has no space left to {what}",
        remedy="free disk space where the store keeps its data, or run: darkchannel cleanup",
    )


def _refused(code: str, endpoint: str, what: str) -> StoreAccessError:
    if code == "RequestTimeTooSkewed":
        remedy = "set both clocks by NTP: this machine's is more than 15 minutes off the store's"
    elif code == "AuthorizationHeaderMalformed":
        remedy = "set MINIO_REGION to the server's region"
    elif code in _WRONG_KEYS:
        remedy = "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY: they are not valid (any more)"
    else:
        remedy = "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY, and what this user may do"
    return StoreAccessError(f"the store at {endpoint} refuses to {what}: {code}", remedy=remedy)
