"""Proof, by doing it, that a store does what jobs need, and no more than it should."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping

from darkchannel.errors import DarkChannelError, PreconditionError, StoreAccessError, StoreError
from darkchannel.models import Check
from darkchannel.storage import check_access
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.provision import expires_daily
from darkchannel.storage.s3_errors import BY_SETUP

ROUND_TRIP_BYTES = 10 * 1024 * 1024
ROUND_TRIP_SECONDS = 1.0
"""The mission's bar: 10 MB up or down in under a second."""

MAX_CLOCK_SKEW_SECONDS = 5.0
"""S3 refuses signatures 15 minutes off; leases want far less."""

CLOCK_PAUSES = (0.25, 0.25, 0.25)
"""Seconds between questions to a clock that is not surely right at the first answer."""

Proof = Callable[[MinIOClient], str]
"""Tries something; says what it found, or raises what is wrong and what to do about it."""


def check_store(client: MinIOClient, *, own_server: bool = False) -> Iterator[Check]:
    """Try everything once; what was written for it is removed again.

    The first check is whether the store answers; where it does not, it is the only one.

    Args:
        client: on the store to check, with the credentials that a service would use.
        own_server: it is the embedded store: its one user may do everything, and what expires
            is deleted by ``darkchannel cleanup`` alone.
    """
    first = _attempt("answers", _answers, client)
    yield first
    if first.ok:
        for name, prove in _proofs(own_server).items():
            yield _attempt(name, prove, client)


def _proofs(own_server: bool) -> Mapping[str, Proof]:
    return {
        "buckets": _buckets,
        "anonymous access": check_access.anonymous,
        "service key": check_access.only_user if own_server else check_access.service_key,
        "link key": check_access.link_key,
        "expiry": _expiry_by_cleanup if own_server else _expiry,
        "clock": _clock,
        "conditional writes": _conditional,
        "10 MB round trip": _round_trip,
        "links": check_access.links,
    }


def _attempt(name: str, prove: Proof, client: MinIOClient) -> Check:
    try:
        return Check(name, True, prove(client))
    except DarkChannelError as error:
        return Check(name, False, error.message, error.remedy)


def _answers(client: MinIOClient) -> str:
    client.ping()  # the first call loads the S3 library, which is no fault of the store
    began = time.perf_counter()
    client.ping()
    return f"in {(time.perf_counter() - began) * 1000:.0f} ms"


def _buckets(client: MinIOClient) -> str:
    found = {bucket: client.has_bucket(bucket) for bucket in client.config.buckets}
    missing = [bucket for bucket, there in found.items() if there is False]
    hidden = [bucket for bucket, there in found.items() if there is None]
    if missing:
        raise StoreError(
            f"there is no {', '.join(missing)}",
            remedy=f"create the buckets as the store's administrator: {BY_SETUP}",
        )
    if len(hidden) == len(found):
        raise StoreAccessError(
            "this user may look into none of them", remedy="use the key of one of the services"
        )
    return ", ".join(
        f"{bucket} (not for this user)" if bucket in hidden else bucket for bucket in found
    )


def _expiry(client: MinIOClient) -> str:
    buckets = client.config.buckets
    try:
        rules = client.lifecycle_rules(buckets.temp)
        if not any(map(expires_daily, rules)):
            raise StoreError(f"objects in {buckets.temp} do not expire", remedy=BY_SETUP)
        if client.lifecycle_rules(buckets.jobs):
            raise StoreError(
                f"{buckets.jobs} has lifecycle rules: they delete jobs, and MinIO may list such a"
                " bucket short",
                remedy="remove them; `darkchannel cleanup` tidies jobs up",
            )
    except StoreAccessError:
        # This user may not see the rules; what they do to an object the server tells anybody.
        return _expiry_as_told(client)
    return f"objects in {buckets.temp} expire after a day"


def _expiry_as_told(client: MinIOClient) -> str:
    bucket = client.config.buckets.temp
    with check_access.written(client, bucket, "expiry") as key:
        told = client.expiry_of(bucket, key)
    if told is None:
        raise StoreError(
            f"objects in {bucket} do not expire, as far as this user may know", remedy=BY_SETUP
        )
    hours = (told.timestamp() - client.server_time()) / 3600
    if not 0 < hours <= 49:
        raise StoreError(f"objects in {bucket} expire after {hours:.0f} hours", remedy=BY_SETUP)
    return f"objects in {bucket} expire after a day; one of now, in {hours:.0f} hours"


def _expiry_by_cleanup(client: MinIOClient) -> str:
    return f"`darkchannel cleanup` empties {client.config.buckets.temp}"


def _clock(client: MinIOClient) -> str:
    # The store tells whole seconds, some time between question and answer: each answer gives
    # bounds, and answers at other parts of a second narrow them, however slow each of them is.
    least, most = -math.inf, math.inf
    for pause in (0, *CLOCK_PAUSES):
        time.sleep(pause)
        asked = time.time()
        told = client.server_time()
        least, most = max(least, told - time.time()), min(most, told + 1 - asked)
        if max(-least, most) <= MAX_CLOCK_SKEW_SECONDS:
            break
    skew = (least + most) / 2
    found = f"{round(skew):+d} s against this machine"
    if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
        raise StoreError(found, remedy="set both clocks by NTP")
    return found


def _conditional(client: MinIOClient) -> str:
    bucket = client.config.buckets.temp
    with check_access.written(client, bucket, "cas") as key:
        etag = client.head(bucket, key).etag
        _refuses(lambda: client.put(bucket, key, b"2", if_none_match=True), "If-None-Match")
        _refuses(lambda: client.put(bucket, key, b"2", if_match="0" * 32), "If-Match")
        client.put(bucket, key, b"3", if_match=etag)
        client.delete(bucket, key)
        _refuses(lambda: client.put(bucket, key, b"4", if_match=etag), "If-Match, none there")
        creates = client.creates_on_if_match(bucket, key)
    hidden = "; this server would make an absent object on If-Match, so the client looks first"
    return "refused and accepted as they should be" + (hidden if creates else "")


def _refuses(write: Callable[[], object], condition: str) -> None:
    try:
        write()
    except PreconditionError:
        return
    raise StoreError(
        f"a write whose condition does not hold was accepted ({condition})",
        remedy="use a server with conditional writes, such as MinIO of 2024-12 or later",
    )


def _round_trip(client: MinIOClient) -> str:
    bucket, data = client.config.buckets.temp, secrets.token_bytes(ROUND_TRIP_BYTES)
    began = time.perf_counter()
    with check_access.written(client, bucket, "10mb", data) as key:
        sent = time.perf_counter()
        same = client.get(bucket, key).data == data
        received = time.perf_counter()
    if not same:
        raise StoreError("the bytes came back changed", remedy="look for a proxy in between")
    up, down = sent - began, received - sent
    found = f"up {up:.2f} s, down {down:.2f} s"
    if max(up, down) >= ROUND_TRIP_SECONDS:
        raise StoreError(
            f"{found}; {ROUND_TRIP_SECONDS:.0f} s is the limit",
            remedy="look at the disk and the network between here and the store",
        )
    return found
