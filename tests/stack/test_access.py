"""Who may do what: each service tries what it needs, and what it must not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from darkchannel.errors import StoreAccessError
from darkchannel.storage import MinIOClient
from tests.stack.conftest import Stack, run

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

SERVICES = ("api", "speech", "n8n", "link", "backup", "metrics")
JOB = "access-test"
OBJECTS = {
    "metadata": ("jobs", f"{JOB}/metadata.json"),
    "input": ("jobs", f"{JOB}/input.txt"),
    "take": ("jobs", f"{JOB}/chunks/chunk-00001.wav"),
    "final": ("jobs", f"{JOB}/final/audiobook.mp3"),
    "output": ("output", "2026-01-01/access-test.mp3"),
    "voice": ("refs", "voices/narrator.wav"),
    "cached take": ("temp", "takes/00ff.wav"),
}
EVERYTHING = set(OBJECTS)
MAY_READ = {
    "api": EVERYTHING,
    "speech": {"take", "cached take", "voice"},
    "n8n": {"metadata", "final", "output"},
    "link": {"final", "output"},
    "backup": EVERYTHING - {"cached take"},
    "metrics": set(),
}
MAY_WRITE = {"api": EVERYTHING, "speech": {"take", "cached take"}}
MAY_DELETE = {"api": EVERYTHING}
MAY_LIST = {
    "api": {"jobs", "output", "refs", "temp"},
    "backup": {"jobs", "output", "refs"},
}


@pytest.fixture(scope="module")
def objects(stack: Stack) -> Stack:
    """The stack with one object of each kind."""
    client = MinIOClient(stack.store("api"))
    for kind, key in OBJECTS.values():
        client.put(getattr(client.config.buckets, kind), key, b"there")
    return stack


def allowed(action: Callable[..., object], *arguments: object) -> bool:
    """Whether the store lets it happen."""
    try:
        action(*arguments)
    except StoreAccessError:
        return False
    return True


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_and_writes_what_it_needs_and_nothing_else(
    objects: Stack, service: str
) -> None:
    """For every kind of object: reading, writing and deleting are allowed or refused as planned."""
    client = MinIOClient(objects.store(service))
    owner = MinIOClient(objects.store("api"))
    read, written, deleted = set(), set(), set()
    for name, (kind, key) in OBJECTS.items():
        bucket = getattr(client.config.buckets, kind)
        if allowed(client.get, bucket, key):
            read.add(name)
        if allowed(client.put, bucket, key, b"there"):
            written.add(name)
        if allowed(client.delete, bucket, key):
            deleted.add(name)
            owner.put(bucket, key, b"there")
    assert read == MAY_READ[service]
    assert written == MAY_WRITE.get(service, set())
    assert deleted == MAY_DELETE.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_lists_only_what_it_needs(objects: Stack, service: str) -> None:
    """Whole buckets are listed by the API and the backup alone."""
    client = MinIOClient(objects.store(service))
    listed = {
        kind
        for kind in ("jobs", "output", "refs", "temp")
        if allowed(lambda bucket: list(client.list(bucket)), getattr(client.config.buckets, kind))
    }
    assert listed == MAY_LIST.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_makes_or_drops_buckets(objects: Stack, service: str) -> None:
    """Creating another bucket, and deleting one of ours, are refused to everybody."""
    s3 = MinIOClient(objects.store(service))._connections.single
    nothing_allowed = '{"Version":"2012-10-17","Statement":[]}'
    calls: list[Callable[[], object]] = [
        lambda: s3.create_bucket(Bucket="another-bucket"),
        lambda: s3.delete_bucket(Bucket="darkchannel-refs"),
        lambda: s3.put_bucket_policy(Bucket="darkchannel-refs", Policy=nothing_allowed),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("bucket", ["jobs", "output", "refs", "temp"])
def test_nobody_gets_in_without_a_key(objects: Stack, bucket: str) -> None:
    """Unsigned requests for a listing or an object are refused on every bucket."""
    store = objects.store("api")
    name = getattr(store.buckets, bucket)
    keys = [key for kind, key in OBJECTS.values() if kind == bucket]
    for path in (name, *(f"{name}/{key}" for key in keys)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{store.endpoint}/{path}", timeout=10)
        assert refused.value.code == 403


def mc(stack: Stack, service: str, *arguments: str) -> tuple[bool, str]:
    """Run mc inside the stack with a service's key; whether it succeeded, and what it said."""
    keys = stack.credentials(service)
    host = f"MC_HOST_store=http://{keys.access_key}:{keys.secret_key}@minio:9000"
    try:
        return True, stack.compose(
            "run", "--rm", "--no-deps", "--entrypoint", "mc", "-e", host, "minio-setup", *arguments
        )
    except AssertionError as error:
        return False, str(error)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_makes_itself_another_key(objects: Stack, service: str) -> None:
    """CVE-2025-62506: a service account, whose rights would not be confined, is refused."""
    user = objects.credentials(service).access_key
    made, said = mc(objects, service, "admin", "user", "svcacct", "add", "store", user)
    assert not made
    assert "Access Denied" in said or "not allowed" in said.lower() or "denied" in said.lower()


def test_temporary_objects_expire_after_a_day(objects: Stack) -> None:
    """The temp bucket has a rule of one day; the jobs bucket, to be listed whole, has none."""
    store = objects.store("root")
    s3 = MinIOClient(store)._connections.single
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=store.buckets.temp)["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["Expiration"]["Days"] == 1
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=store.buckets.jobs)


def test_buckets_have_quotas_and_stale_uploads_expire(objects: Stack) -> None:
    """Every bucket has the quota of .env, and unfinished uploads go after a day."""
    for bucket, quota in (
        ("jobs", "100 GiB"),
        ("output", "100 GiB"),
        ("refs", "5.0 GiB"),
        ("temp", "50 GiB"),
    ):
        _, said = mc(objects, "root", "quota", "info", f"store/darkchannel-{bucket}")
        assert quota in said
    _, said = mc(objects, "root", "admin", "config", "get", "store", "api")
    assert "stale_uploads_expiry=24h" in said


def test_metrics_are_for_the_metrics_user(objects: Stack) -> None:
    """Figures are given to a token of the metrics user, and to nobody without one."""
    ok, said = mc(objects, "metrics", "admin", "prometheus", "generate", "store", "--json")
    assert ok
    token = json.loads(said.strip().splitlines()[-1])["bearerToken"]
    url = f"{objects.store('api').endpoint}/minio/v2/metrics/cluster"
    run("curl", "--silent", "--fail", "--header", f"Authorization: Bearer {token}", url)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    assert refused.value.code == 403
