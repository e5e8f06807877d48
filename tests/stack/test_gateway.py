"""The gateway lets presigned links of results through, and nothing else."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from darkchannel.config import Credentials
from darkchannel.storage import MinIOClient
from tests.stack.conftest import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

OUTPUT, JOBS = "darkchannel-output", "darkchannel-jobs"
KEY = "2026-01-01/livro com espaço.mp3"
DATA = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def link(stack: Stack) -> str:
    """A presigned link of a result."""
    client = MinIOClient(stack.store("api"))
    client.put(OUTPUT, KEY, DATA)
    client.put(JOBS, "gateway/final/audiobook.mp3", DATA)
    client.put(JOBS, "gateway/metadata.json", b"{}")
    return client.generate_presigned_url(OUTPUT, KEY)


def ask(
    url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One request as it is written: no redirects, no clean-up of the path."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    path = url.split(parts.netloc, 1)[1] or "/"
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data


def presigned(
    stack: Stack, keys: Credentials, verb: str, bucket: str = OUTPUT, key: str = KEY
) -> str:
    """A link of any verb, signed by anybody, for the gateway's address."""
    s3 = boto3.client(
        "s3",
        endpoint_url=stack.links,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url: str = s3.generate_presigned_url(verb, Params={"Bucket": bucket, "Key": key})
    return url


def test_a_link_opens(link: str) -> None:
    """GET of a presigned link gives the object, whole, and forbids caching it."""
    status, headers, data = ask(link)
    assert (status, data) == (200, DATA)
    assert headers["cache-control"] == "private, no-store"


def test_a_player_may_seek(link: str) -> None:
    """A range of the object is given as such, which players need."""
    status, headers, data = ask(link, headers={"Range": "bytes=1000-1999"})
    assert (status, data) == (206, DATA[1000:2000])
    assert headers["content-range"] == f"bytes 1000-1999/{len(DATA)}"


def test_a_downloader_may_look_first(stack: Stack) -> None:
    """HEAD with a link signed for HEAD tells the size and sends nothing."""
    url = presigned(stack, stack.credentials("link"), "head_object")
    status, headers, data = ask(url, "HEAD")
    assert (status, headers["content-length"], data) == (200, str(len(DATA)), b"")


def test_a_changed_link_is_refused(link: str) -> None:
    """Another signature, another key or another expiry in a link is refused by the store."""
    flipped = link[:-1] + ("0" if link[-1] != "0" else "1")
    assert ask(flipped)[0] == 403
    assert ask(link.replace("livro", "outro"))[0] == 403
    assert ask(link.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"))[0] == 403


def test_an_expired_link_is_refused(stack: Stack, link: str) -> None:
    """A link of one second is refused after two."""
    import time

    url = MinIOClient(stack.store("api")).generate_presigned_url(OUTPUT, KEY, expiration=1)
    time.sleep(2.1)
    status, _, body = ask(url)
    assert status == 403
    assert b"expired" in body.lower()


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "COPY"])
def test_no_other_method_reaches_the_store(link: str, method: str) -> None:
    """Every method but GET and HEAD is answered by the gateway itself."""
    status, headers, _ = ask(link, method, body=b"x" if method in {"PUT", "POST"} else None)
    assert status in {403, 405}
    assert "x-amz-request-id" not in headers
    assert "nginx" in headers["server"]


@pytest.mark.parametrize("service", ["root", "api", "speech", "n8n", "backup"])
def test_links_signed_with_another_key_are_refused(stack: Stack, link: str, service: str) -> None:
    """A valid signature of any key but the link key does not pass: not even the administrator's."""
    url = presigned(stack, stack.credentials(service), "get_object")
    status, headers, _ = ask(url)
    assert status == 403
    assert "nginx" in headers["server"]


def test_uploads_by_link_are_refused(stack: Stack, link: str) -> None:
    """A link that is validly signed for writing does not pass."""
    url = presigned(stack, stack.credentials("root"), "put_object", key="2026-01-01/new.mp3")
    assert ask(url, "PUT", body=b"x")[0] == 403


def test_unsigned_trailers_do_not_reach_the_store(stack: Stack, link: str) -> None:
    """CVE-2026-41145 and -40344: a write with an unsigned trailer is answered by the gateway."""
    keys = stack.credentials("api")
    status, headers, _ = ask(
        f"{stack.links}/{OUTPUT}/2026-01-01/new.mp3",
        "PUT",
        {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={keys.access_key}/20260101/us-east-1/s3"
            f"/aws4_request, SignedHeaders=host, Signature={'0' * 64}",
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": "1",
        },
        b"1\r\nx\r\n0\r\n\r\n",
    )
    assert status == 403
    assert "nginx" in headers["server"]


def test_select_does_not_reach_the_store(link: str) -> None:
    """CVE-2026-39414: SelectObjectContent is a POST, which the gateway answers itself."""
    status, headers, _ = ask(f"{link}&select&select-type=2", "POST", body=b"<Select/>")
    assert status == 403
    assert "nginx" in headers["server"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?list-type=2",
        f"/{OUTPUT}",
        f"/{OUTPUT}/",
        f"/{JOBS}/gateway/metadata.json",
        f"/{JOBS}/gateway/chunks/chunk-00001.wav",
        "/minio/admin/v3/info",
        "/minio/health/live",
        "/minio/v2/metrics/cluster",
        "/minio/storage/v63/readall",
        "/minio/grid/v1",
        "/minio/lock/v1",
        "/login",
        f"/{OUTPUT}/../minio/admin/v3/info",
        f"/{OUTPUT}/%2e%2e/minio/admin/v3/info",
    ],
)
def test_no_other_path_reaches_the_store(stack: Stack, link: str, path: str) -> None:
    """Listings, metadata, admin, metrics, internode (CVE-2026-42600): the gateway answers 403."""
    query = link.split("?", 1)[1]
    for url in (f"{stack.links}{path}", f"{stack.links}{path}{'&' if '?' in path else '?'}{query}"):
        status, headers, data = ask(url)
        assert status in {400, 403}
        assert b"<Code>" not in data or b"SignatureDoesNotMatch" in data
        assert headers["server"].startswith("nginx")


def test_headers_of_the_client_do_not_reach_the_store(link: str) -> None:
    """Headers that could change what the store does are dropped: the link works as signed."""
    status, _, data = ask(
        link,
        headers={
            "X-Amz-Copy-Source": "/x/y",
            "Authorization": "Bearer x",
            "X-Minio-Extract": "true",
            "X-Forwarded-For": "10.0.0.1",
        },
    )
    assert (status, data) == (200, DATA)


def test_the_console_answers_on_its_own_port_only(stack: Stack) -> None:
    """The console's page is on the console's port."""
    status, _, data = ask(f"{stack.console}/login")
    assert status == 200
    assert b"MinIO" in data
