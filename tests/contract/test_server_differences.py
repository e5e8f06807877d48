"""Where the servers differ: each difference as it is, and beside it that callers see none.

The first test of each pair speaks S3 to the server itself; should one of them fail after an
upgrade, the second tells whether anything has to be done about it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3.client import S3Client

from darkchannel.config import StoreConfig
from darkchannel.errors import JobNotFoundError, LeaseLostError, PreconditionError
from darkchannel.storage import JobManager, MinIOClient, keys
from darkchannel.storage.cleanup import cleanup
from darkchannel.storage.provision import provision
from darkchannel.storage.s3_errors import http_status
from tests.servers import own_buckets

DAY = dt.timedelta(days=1)


@pytest.fixture
def on_minio(request: pytest.FixtureRequest, store_config: StoreConfig) -> bool:
    """Whether the server is MinIO rather than SeaweedFS."""
    name: str = request.node.callspec.params["store_config"]
    return name == "minio"


@pytest.fixture(scope="module")
def set_up(store_config: StoreConfig) -> MinIOClient:
    """A store of its own with everything that setting up makes."""
    client = MinIOClient(own_buckets(store_config))
    list(provision(client))
    return client


@pytest.fixture
def client(set_up: MinIOClient) -> Iterator[MinIOClient]:
    """A store with nothing in it."""
    yield set_up
    for bucket in set_up.config.buckets:
        set_up.delete_many(bucket, [info.key for info in set_up.list(bucket)])
        for upload in set_up.incomplete_uploads(bucket):
            set_up.abort_upload(bucket, upload)


@pytest.fixture
def raw(client: MinIOClient) -> S3Client:
    """The server itself, without anything of ours in between."""
    return client._connections.single


@pytest.fixture
def jobs(client: MinIOClient) -> str:
    """A bucket without lifecycle."""
    return client.config.buckets.jobs


def test_writing_over_a_version_of_nothing(raw: S3Client, jobs: str, on_minio: bool) -> None:
    """MinIO creates an absent object on If-Match, whatever the ETag; SeaweedFS refuses."""
    if on_minio:
        raw.put_object(Bucket=jobs, Key="x", Body=b"risen", IfMatch='"no such version"')
        assert raw.get_object(Bucket=jobs, Key="x")["Body"].read() == b"risen"
    else:
        with pytest.raises(ClientError) as refused:
            raw.put_object(Bucket=jobs, Key="x", Body=b"risen", IfMatch='"no such version"')
        assert http_status(refused.value) == 412


def test_nothing_rises_from_the_dead(client: MinIOClient, jobs: str, on_minio: bool) -> None:
    """Callers are told that the version is gone, and no object comes of it, on both."""
    etag = client.put(jobs, "x", b"1")
    client.delete(jobs, "x")
    for version in (etag, "0" * 32):
        with pytest.raises(PreconditionError):
            client.put(jobs, "x", b"2", if_match=version)
        assert not client.exists(jobs, "x")
    assert client.creates_on_if_match(jobs, "x") == on_minio
    assert not client.exists(jobs, "x")


def test_deleting_under_a_condition(raw: S3Client, jobs: str, on_minio: bool) -> None:
    """MinIO deletes whatever the condition; SeaweedFS obeys it."""
    raw.put_object(Bucket=jobs, Key="x", Body=b"1")
    if on_minio:
        raw.delete_object(Bucket=jobs, Key="x", IfMatch='"another version"')
    else:
        with pytest.raises(ClientError) as refused:
            raw.delete_object(Bucket=jobs, Key="x", IfMatch='"another version"')
        assert http_status(refused.value) == 412
    left = raw.list_objects_v2(Bucket=jobs).get("KeyCount")
    assert left == (0 if on_minio else 1)


def test_state_is_not_deleted_under_a_writer(client: MinIOClient, jobs: str) -> None:
    """A job goes by a conditional write; its record stays while somebody may still write it."""
    manager = JobManager(client)
    job_id = manager.create_job("T", "texto")
    lease = manager.acquire(job_id, owner="elsewhere", ttl=600)
    manager.cancel(job_id)
    manager.delete(job_id)
    assert client.exists(jobs, keys.metadata_key(job_id))
    with pytest.raises(LeaseLostError):
        lease.update(voice="x")
    with pytest.raises(JobNotFoundError):
        manager.get_job_metadata(job_id)
    lease.release()


def test_a_day_of_lifecycle(client: MinIOClient, raw: S3Client, on_minio: bool) -> None:
    """MinIO rounds it up to midnight UTC, 24 to 48 hours ahead; SeaweedFS tells no time."""
    temp = client.config.buckets.temp
    answer = raw.put_object(Bucket=temp, Key="x", Body=b"x")
    due = client.expiry_of(temp, "x")
    if not on_minio:
        assert "Expiration" not in answer
        assert due is None
        return
    assert 'rule-id="darkchannel-temp"' in answer["Expiration"]
    assert due is not None
    assert (due.hour, due.minute, due.second, due.utcoffset()) == (0, 0, 0, dt.timedelta(0))
    assert DAY <= due - client.head(temp, "x").last_modified <= 2 * DAY


def test_only_temporary_objects_expire(client: MinIOClient) -> None:
    """What lies elsewhere has no end, even a copy of something that has one."""
    temp = client.config.buckets.temp
    client.put(temp, "x", b"x")
    for bucket in set(client.config.buckets) - {temp}:
        client.put(bucket, "x", b"x")
        client.copy(temp, "x", bucket, "copy")
        assert client.expiry_of(bucket, "x") is None
        assert client.expiry_of(bucket, "copy") is None


def test_a_day_of_cleanup(client: MinIOClient) -> None:
    """`darkchannel cleanup` keeps to 24 hours, whatever the server would do later."""
    temp = client.config.buckets.temp
    client.put(temp, "x", b"x")
    (info,) = client.list(temp)  # which tells fractions of a second, where HEAD does not
    written = info.last_modified
    manager = JobManager(client)
    early = cleanup(client, manager, now=written + DAY - dt.timedelta(seconds=1))
    assert early.temp_objects == 0
    assert client.exists(temp, "x")
    assert cleanup(client, manager, now=written + DAY).temp_objects == 1
    assert not client.exists(temp, "x")


def test_rules_for_unfinished_uploads(client: MinIOClient, raw: S3Client, on_minio: bool) -> None:
    """MinIO refuses such a rule alone, and drops it in silence from one that does more."""
    bucket = client.config.buckets.refs
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, **abort}
    before = client.lifecycle_rules(bucket)
    kept = not on_minio
    for rules in ([rule], [{**rule, "Expiration": {"Days": 1}}]):
        wanted: dict[str, object] = {"Rules": rules}
        if on_minio and "Expiration" not in rules[0]:
            with pytest.raises(ClientError) as refused:
                raw.put_bucket_lifecycle_configuration(
                    Bucket=bucket,
                    LifecycleConfiguration=wanted,  # type: ignore[arg-type]
                )
            assert http_status(refused.value) == 400
            continue
        raw.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration=wanted,  # type: ignore[arg-type]
        )
        (found,) = raw.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert ("AbortIncompleteMultipartUpload" in found) == kept
    client.set_lifecycle_rules(bucket, before)
    assert client.lifecycle_rules(bucket) == before


def begin_upload(raw: S3Client, bucket: str) -> None:
    """Begin an upload that nobody will complete."""
    raw.create_multipart_upload(Bucket=bucket, Key="half.m4b")


def test_unfinished_uploads_of_other_buckets(
    client: MinIOClient, raw: S3Client, on_minio: bool
) -> None:
    """MinIO names an upload in every bucket; SeaweedFS in its own."""
    buckets = client.config.buckets
    begin_upload(raw, buckets.refs)
    for bucket in buckets:
        named = raw.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        assert len(named) == (1 if on_minio or bucket == buckets.refs else 0)


def test_an_unfinished_upload_is_in_one_bucket(client: MinIOClient, raw: S3Client) -> None:
    """The client names it where it is, and aborts it there."""
    buckets = client.config.buckets
    begin_upload(raw, buckets.refs)
    found = {bucket: list(client.incomplete_uploads(bucket)) for bucket in buckets}
    assert {bucket: len(uploads) for bucket, uploads in found.items()} == {
        bucket: int(bucket == buckets.refs) for bucket in buckets
    }
    client.abort_upload(buckets.refs, found[buckets.refs][0])
    assert list(client.incomplete_uploads(buckets.refs)) == []


NESTED = ["a/2", "a/10", "a-b/1", "a.b/1", "b"]


def test_the_order_of_folders(raw: S3Client, jobs: str, on_minio: bool) -> None:
    """MinIO lists by the bytes of the whole key, as AWS does; SeaweedFS folder by folder."""
    for name in NESTED:
        raw.put_object(Bucket=jobs, Key=name, Body=b"")
    found = [entry["Key"] for entry in raw.list_objects_v2(Bucket=jobs)["Contents"]]
    by_bytes = ["a-b/1", "a.b/1", "a/10", "a/2", "b"]
    assert found == (by_bytes if on_minio else ["a/10", "a/2", "a-b/1", "a.b/1", "b"])


def test_the_order_within_a_folder(client: MinIOClient, jobs: str) -> None:
    """That is all callers rely on: a job's takes come in order, whatever jobs come between."""
    for job_id in ("a", "a.b", "a-b"):
        for index in (2, 10, 1, 99_999):
            client.put(jobs, keys.chunk_key(job_id, index), b"")
    for job_id in ("a", "a.b", "a-b"):
        found = [info.key for info in client.list(jobs, keys.chunks_prefix(job_id))]
        assert list(map(keys.chunk_index, found)) == [1, 2, 10, 99_999]
    assert {"a", "a-b", "a.b"} <= set(client.list_folders(jobs))


def test_an_object_below_an_object(raw: S3Client, jobs: str, on_minio: bool) -> None:
    """MinIO keeps ``x/y`` below an object ``x`` and does not list it; SeaweedFS lists both."""
    for key in ("x", "x/y"):
        raw.put_object(Bucket=jobs, Key=key, Body=b"1")
    found = [entry["Key"] for entry in raw.list_objects_v2(Bucket=jobs)["Contents"]]
    assert found == (["x"] if on_minio else ["x", "x/y"])
    assert raw.get_object(Bucket=jobs, Key="x/y")["Body"].read() == b"1"
    raw.delete_object(Bucket=jobs, Key="x/y")


def test_none_of_our_keys_is_below_another() -> None:
    """So nothing that jobs write can be missing from a listing."""
    job_id = uuid.uuid4().hex
    today = dt.date(2026, 1, 2)
    made = [
        keys.metadata_key(job_id),
        keys.input_key(job_id, "txt"),
        keys.plan_key(job_id),
        keys.chunk_key(job_id, 1),
        keys.final_key(job_id, "audiobook.mp3"),
        keys.take_cache_key("0" * 64),
        keys.output_key(today, "book", "mp3"),
        keys.output_key(today, "book", "m4b"),
    ]
    folders = {key.rpartition("/")[0] for key in made}
    assert folders.isdisjoint(made)
    assert not [key for key in made if any(other.startswith(f"{key}/") for other in made)]


def test_a_folder_that_has_become_empty(raw: S3Client, jobs: str, on_minio: bool) -> None:
    """SeaweedFS goes on naming it for a while; MinIO does not."""
    raw.put_object(Bucket=jobs, Key="gone/x", Body=b"")
    raw.delete_object(Bucket=jobs, Key="gone/x")
    answer = raw.list_objects_v2(Bucket=jobs, Delimiter="/")
    named = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
    assert ("gone/" in named) != on_minio


def test_a_deleted_job_is_named_no_more(client: MinIOClient) -> None:
    """Whatever folder is left of it, no job is listed and nothing is found to tidy up."""
    manager = JobManager(client)
    job_id = manager.create_job("T", "texto")
    manager.delete(job_id)
    assert job_id not in {job["job_id"] for job in manager.list_jobs()}
    later = dt.datetime.fromtimestamp(client.server_time(), dt.UTC) + 100 * DAY
    assert cleanup(client, manager, now=later).jobs_deleted == 0
