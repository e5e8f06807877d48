"""Setting a store up, as far as plain S3 reaches: buckets, and what expires in them.

Safe to repeat.  Users, policies and quotas have no S3 of their own; each server has its own way,
which is named where one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from darkchannel.errors import StoreAccessError, StoreError
from darkchannel.storage.bucket_verbs import Rule
from darkchannel.storage.client import MinIOClient

TEMP_DAYS = 1
"""S3 counts whole days up to midnight UTC, so this deletes after 24 to 48 hours."""

TEMP_RULE = "darkchannel-temp"
UPLOADS_RULE = "darkchannel-stale-uploads"


class State(Enum):
    """What became of a step."""

    OK = "ok"
    MADE = "made"
    CANNOT = "--"


class Step(NamedTuple):
    """One thing that was looked at.

    Attributes:
        state: it was so already, it is so now, or it cannot be done this way.
        what: what is so, or what cannot be done.
        instead: what to do instead, where it cannot.
    """

    state: State
    what: str
    instead: str = ""

    def __str__(self) -> str:
        if self.state is State.CANNOT:
            return f"--   cannot: {self.what}; {self.instead}"
        return f"{self.state.value:<4} {self.what}"


def provision(client: MinIOClient) -> Iterator[Step]:
    """Set up what plain S3 allows, step by step.

    Raises:
        StoreAccessError: a bucket is missing and this user may not create it.
        StoreUnavailableError: no answer; what was made stays, and the rest can be repeated.
    """
    buckets = client.config.buckets
    for bucket in buckets:
        yield _bucket(client, bucket)
    yield _temp_expiry(client, buckets.temp)
    for bucket in (buckets.output, buckets.refs, buckets.temp):
        step = _stale_uploads(client, bucket)
        yield step
        if step.state is State.CANNOT:
            break  # no server knows it for one bucket and not for the next
    yield from _jobs_rules(client, buckets.jobs)
    yield Step(
        State.CANNOT,
        "make users, policies and quotas, which are no part of S3",
        "on MinIO run scripts/minio-setup.sh, elsewhere see the server's manual",
    )


def expires_daily(rule: Rule) -> bool:
    """Whether a lifecycle rule deletes every object of its bucket after :data:`TEMP_DAYS`."""
    return (
        rule.get("Status") == "Enabled"
        and rule.get("Expiration", {}).get("Days") == TEMP_DAYS
        and _covers_all(rule)
    )


def _bucket(client: MinIOClient, bucket: str) -> Step:
    if client.has_bucket(bucket) is False:
        client.create_bucket(bucket)
        return Step(State.MADE, f"bucket {bucket}")
    return Step(State.OK, f"bucket {bucket}")


def _temp_expiry(client: MinIOClient, bucket: str) -> Step:
    exactly = "`darkchannel cleanup` deletes them at exactly 24 hours"
    what = (
        f"objects in {bucket} expire after a day (on MinIO at midnight UTC, 24 to 48 hours later);"
        f" {exactly}"
    )
    rule = _rule(TEMP_RULE, {"Expiration": {"Days": TEMP_DAYS}})
    try:
        made = _ensure_rule(client, bucket, rule, expires_daily)
    except (StoreAccessError, StoreError) as error:
        return Step(State.CANNOT, f"let objects in {bucket} expire: {error.message}", exactly)
    return Step(State.MADE if made else State.OK, what)


def _stale_uploads(client: MinIOClient, bucket: str) -> Step:
    rule = _rule(UPLOADS_RULE, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    try:
        made = _ensure_rule(client, bucket, rule, _aborts_uploads)
    except (StoreAccessError, StoreError) as error:
        refused = isinstance(error, StoreAccessError)
        reason = "this user may not" if refused else "this server has no such rule"
        return Step(
            State.CANNOT,
            f"let unfinished uploads expire: {reason}",
            "on MinIO set MINIO_API_STALE_UPLOADS_EXPIRY=24h (scripts/minio-setup.sh does);"
            " `darkchannel cleanup` drops them as well",
        )
    return Step(
        State.MADE if made else State.OK, f"unfinished uploads to {bucket} expire after a day"
    )


def _jobs_rules(client: MinIOClient, bucket: str) -> Iterator[Step]:
    """Say so where jobs may vanish; somebody made that rule, so it is not ours to remove."""
    try:
        rules = client.lifecycle_rules(bucket)
    except StoreAccessError:
        return  # whoever may not see rules cannot have been asked to keep them
    if rules:
        yield Step(
            State.CANNOT,
            f"vouch for {bucket}: its {len(rules)} lifecycle rules delete jobs, and MinIO may"
            " list such a bucket short",
            "remove them; `darkchannel cleanup` tidies jobs up",
        )


def _ensure_rule(
    client: MinIOClient, bucket: str, rule: Rule, satisfied: Callable[[Rule], bool]
) -> bool:
    """Add a rule beside those of others, unless one does the same already.

    Returns:
        Whether it was added.

    Raises:
        StoreAccessError: this user may not.
        StoreError: the server refuses such a rule, or forgets it.
    """
    before = client.lifecycle_rules(bucket)
    if any(map(satisfied, before)):
        return False
    others = [other for other in before if other.get("ID") != rule["ID"]]
    client.set_lifecycle_rules(bucket, [*others, rule])
    if any(map(satisfied, client.lifecycle_rules(bucket))):
        return True
    client.set_lifecycle_rules(bucket, before)
    raise StoreError("the server accepts such a rule and forgets it")


def _rule(name: str, action: Mapping[str, Any]) -> Rule:
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **action}


def _aborts_uploads(rule: Rule) -> bool:
    return (
        rule.get("Status") == "Enabled"
        and "DaysAfterInitiation" in rule.get("AbortIncompleteMultipartUpload", {})
        and _covers_all(rule)
    )


def _covers_all(rule: Rule) -> bool:
    return not rule.get("Prefix") and not any(rule.get("Filter", {}).values())
