"""From what botocore raises to our own tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from darkchannel import errors
from darkchannel.config import Credentials, StoreConfig
from darkchannel.storage import s3_errors

CONFIG = StoreConfig("http://root:hunter2@store:9000", Credentials("key", "very-secret"))


def answer(code: str, status: int, message: str = "text") -> boto.ClientError:
    """An error answer of a server."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return boto.ClientError(response, "PutObject")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (answer("NoSuchKey", 404), errors.NotFoundError),
        (answer("404", 404), errors.NotFoundError),
        (answer("NoSuchBucket", 404), errors.NotFoundError),
        (answer("NoSuchUpload", 404), errors.NotFoundError),
        (answer("PreconditionFailed", 412), errors.PreconditionError),
        (answer("412", 412), errors.PreconditionError),
        (answer("ConditionalRequestConflict", 409), errors.PreconditionError),
        (answer("AccessDenied", 403), errors.StoreAccessError),
        (answer("403", 403), errors.StoreAccessError),
        (answer("InvalidAccessKeyId", 403), errors.StoreAccessError),
        (answer("SignatureDoesNotMatch", 403), errors.StoreAccessError),
        (answer("RequestTimeTooSkewed", 403), errors.StoreAccessError),
        (answer("AuthorizationHeaderMalformed", 400), errors.StoreAccessError),
        (answer("XMinioStorageFull", 507), errors.StoreFullError),
        (answer("507", 507), errors.StoreFullError),
        (answer("InternalError", 500, "write /d: no space left on device"), errors.StoreFullError),
        (answer("InternalError", 500), errors.StoreUnavailableError),
        (answer("SlowDown", 503), errors.StoreUnavailableError),
        (answer("503", 503), errors.StoreUnavailableError),
        (answer("429", 429), errors.StoreUnavailableError),
        (answer("InvalidBucketName", 400), errors.InvalidKeyError),
        (answer("EntityTooLarge", 400), errors.StoreError),
        (boto.EndpointConnectionError(endpoint_url="x"), errors.StoreUnavailableError),
        (boto.ConnectTimeoutError(endpoint_url="x"), errors.StoreUnavailableError),
        (boto.ReadTimeoutError(endpoint_url="x"), errors.StoreUnavailableError),
        (boto.ConnectionClosedError(endpoint_url="x"), errors.StoreUnavailableError),
        (boto.ResponseStreamingError(error="x"), errors.StoreUnavailableError),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.StoreUnavailableError),
        (boto.ProxyConnectionError(proxy_url="x"), errors.StoreUnavailableError),
        (boto.SSLError(endpoint_url="x", error=OSError("expired")), errors.StoreUnavailableError),
        (boto.ParamValidationError(report="bad bucket"), errors.InvalidKeyError),
        (ResponseParserError("<html>"), errors.StoreError),
    ],
)
def test_every_failure_has_its_place_in_the_tree(
    raised: Exception, expected: type[errors.DarkChannelError]
) -> None:
    """A failure of the library becomes exactly one of our errors, and shows no secret."""
    with (
        pytest.raises(errors.DarkChannelError) as caught,
        s3_errors.translated(CONFIG, "write", "bucket", "some/key"),
    ):
        raise raised
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised
    said = f"{caught.value.message} {caught.value.remedy}"
    assert "hunter2" not in said
    assert "very-secret" not in said


def test_messages_name_the_server_and_the_object() -> None:
    """Who reads the message knows what to look at."""
    with (
        pytest.raises(
            errors.NotFoundError, match="http://store:9000 has no object bucket/some/key"
        ),
        s3_errors.translated(CONFIG, "read", "bucket", "some/key"),
    ):
        raise answer("NoSuchKey", 404)
    with (
        pytest.raises(errors.NotFoundError, match="no bucket bucket") as caught,
        s3_errors.translated(CONFIG, "read", "bucket", "some/key"),
    ):
        raise answer("NoSuchBucket", 404)
    assert "store setup" in caught.value.remedy


def test_an_answer_to_head_is_read_from_its_header() -> None:
    """It has no body: MinIO names there the code by which a full quota is not a missing object."""
    error = answer("400", 400)
    error.response["ResponseMetadata"]["HTTPHeaders"] = {
        "x-minio-error-code": "XMinioAdminBucketQuotaExceeded"
    }
    with (
        pytest.raises(errors.StoreFullError),
        s3_errors.translated(CONFIG, "read", "bucket", "some/key"),
    ):
        raise error


def test_what_is_not_the_librarys_goes_through() -> None:
    """Errors of our own code are not disguised as the store's."""
    with pytest.raises(KeyError), s3_errors.translated(CONFIG, "read", "bucket"):
        raise KeyError("ours")


def test_an_internal_error_on_a_full_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS does not tell a full disk; where its data lies on this machine, we look."""
    config = replace(CONFIG, data_dir=tmp_path)
    usage = SimpleNamespace(total=10**12, free=10**11)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    for free, expected in ((10**11, errors.StoreUnavailableError), (10**7, errors.StoreFullError)):
        usage.free = free
        with (
            pytest.raises(expected),
            s3_errors.translated_write(config, "write", "bucket", "key"),
        ):
            raise answer("InternalError", 500)
    with (
        pytest.raises(errors.StoreUnavailableError),
        s3_errors.translated_write(config, "write", "bucket", "key"),
    ):
        raise boto.EndpointConnectionError(endpoint_url="x")
