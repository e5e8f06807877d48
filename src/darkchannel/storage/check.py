"""Proof, by doing it, that a store does what jobs need."""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from darkchannel.config import Buckets
from darkchannel.errors import DarkChannelError, PreconditionError
from darkchannel.models import Check
from darkchannel.storage.client import MinIOClient

ROUND_TRIP_BYTES = 10 * 1024 * 1024
ROUND_TRIP_SECONDS = 1.0
"""The mission's bar: 10 MB up or down in under a second."""

MAX_CLOCK_SKEW_SECONDS = 5.0
"""S3 refuses signatures 15 minutes off; leases want far less."""


def check_store(client: MinIOClient, buckets: Buckets) -> Iterator[Check]:
    """Try everything once; what was written for it is removed again.

    Args:
        client: on the store to check.
        buckets: names of the four buckets.
    """
    prefix = f".check-{secrets.token_hex(8)}"
    for name, prove in (
        ("answers", lambda: _answers(client)),
        ("buckets", lambda: _buckets(client, buckets)),
        ("clock", lambda: _clock(client)),
        ("conditional writes", lambda: _conditional(client, buckets.temp, f"{prefix}/cas")),
        ("10 MB round trip", lambda: _round_trip(client, buckets.temp, f"{prefix}/10mb")),
        ("links", lambda: _link(client, buckets.temp, f"{prefix}/link")),
    ):
        yield _attempt(name, prove)


def _attempt(name: str, prove: Callable[[], Check]) -> Check:
    try:
        return prove()
    except DarkChannelError as error:
        return Check(name, False, error.message, error.remedy)


def _answers(client: MinIOClient) -> Check:
    began = time.perf_counter()
    client.ping()
    return Check("answers", True, f"in {(time.perf_counter() - began) * 1000:.0f} ms")


def _buckets(client: MinIOClient, buckets: Buckets) -> Check:
    for bucket in buckets:
        next(client.list(bucket), None)
    return Check("buckets", True, ", ".join(buckets))


def _clock(client: MinIOClient) -> Check:
    skew = client.server_time() - time.time()
    return Check(
        "clock",
        abs(skew) <= MAX_CLOCK_SKEW_SECONDS,
        f"{skew:+.0f} s against this machine",
        "set both clocks by NTP",
    )


def _conditional(client: MinIOClient, bucket: str, key: str) -> Check:
    etag = client.put(bucket, key, b"1", if_none_match=True)
    try:
        for condition in ({"if_none_match": True}, {"if_match": '"0"'}):
            try:
                client.put(bucket, key, b"2", **condition)
            except PreconditionError:
                continue
            return Check(
                "conditional writes",
                False,
                "a write whose condition fails was accepted",
                "use a server with If-Match on PUT, such as MinIO of 2024-12 or later",
            )
        client.put(bucket, key, b"3", if_match=etag)
    finally:
        client.delete(bucket, key)
    return Check("conditional writes", True, "refused and accepted as they should be")


def _round_trip(client: MinIOClient, bucket: str, key: str) -> Check:
    data = secrets.token_bytes(ROUND_TRIP_BYTES)
    try:
        began = time.perf_counter()
        client.put(bucket, key, data)
        sent = time.perf_counter()
        same = client.get(bucket, key).data == data
        received = time.perf_counter()
    finally:
        client.delete(bucket, key)
    up, down = sent - began, received - sent
    return Check(
        "10 MB round trip",
        same and max(up, down) < ROUND_TRIP_SECONDS,
        f"up {up:.2f} s, down {down:.2f} s" if same else "came back changed",
        "look at the disk and the network between here and the store",
    )


def _link(client: MinIOClient, bucket: str, key: str) -> Check:
    client.put(bucket, key, b"link")
    try:
        url = client.generate_presigned_url(bucket, key, expiration=60)
        # The scheme is that of a configured endpoint, checked when settings are read.
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            same = answer.read(16) == b"link"
    except (urllib.error.URLError, TimeoutError) as error:
        return Check("links", False, f"a presigned link failed: {error}", "MINIO_ENDPOINT_EXTERNAL")
    finally:
        client.delete(bucket, key)
    return Check("links", same, "a presigned link opens")
