"""What every store has to do: one suite, run on each server there is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from darkchannel.config import Credentials, StoreConfig
from darkchannel.errors import (
    InputError,
    IntegrityError,
    InvalidKeyError,
    NotFoundError,
    OutputError,
    PreconditionError,
    SettingError,
    StoreAccessError,
    StoreError,
)
from darkchannel.storage.client import MAX_LINK_SECONDS, MinIOClient
from tests.servers import own_buckets


@pytest.fixture
def bucket(store_config: StoreConfig) -> str:
    return store_config.buckets.temp


@pytest.fixture(scope="module")
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture
def prefix() -> str:
    """A folder no other test uses."""
    return uuid.uuid4().hex


def read_all(url: str) -> bytes:
    """What anybody gets who follows a link."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


def test_bytes_come_back_as_they_went(client: MinIOClient, bucket: str, prefix: str) -> None:
    """An object keeps its bytes, media type and metadata, of any letters."""
    metadata = {"title": "São  João — 100 %", "seconds": "1.250"}
    etag = client.put(bucket, f"{prefix}/é/a b+c.wav", b"\x00\xff", metadata=metadata)
    stored = client.get(bucket, f"{prefix}/é/a b+c.wav")
    assert stored.data == b"\x00\xff"
    assert stored.etag == etag
    assert stored.info.content_type in {"audio/x-wav", "audio/wav"}
    assert stored.metadata == {**metadata, "sha256": hashlib.sha256(b"\x00\xff").hexdigest()}
    assert client.head(bucket, f"{prefix}/é/a b+c.wav") == stored.info


def test_an_empty_object_is_an_object(client: MinIOClient, bucket: str, prefix: str) -> None:
    """Nothing can be kept as well, in memory and as a file."""
    client.put(bucket, f"{prefix}/empty", b"")
    assert client.get(bucket, f"{prefix}/empty").data == b""
    with client.open(bucket, f"{prefix}/empty") as stream:
        assert list(stream) == []


def test_times_are_the_stores(client: MinIOClient, bucket: str, prefix: str) -> None:
    """Every answer tells the store's time, and objects are dated with it."""
    before = client.server_time()
    client.put(bucket, f"{prefix}/now", b"x")
    stored = client.get(bucket, f"{prefix}/now")
    after = client.server_time()
    assert before <= stored.store_time <= after
    assert before - 1 <= stored.info.last_modified.timestamp() <= after + 1
    assert stored.info.last_modified.utcoffset() == dt.timedelta(0)
    assert abs(before - time.time()) < 5


@pytest.mark.parametrize("verb", ["get", "head", "open", "copy", "download"])
def test_what_is_not_there_is_not_found(
    client: MinIOClient, bucket: str, prefix: str, verb: str, tmp_path: Path
) -> None:
    """A missing object or bucket has one name for every verb."""

    def attempt(bucket: str) -> None:
        key = f"{prefix}/missing"
        if verb == "open":
            with client.open(bucket, key):
                pass
        elif verb == "copy":
            client.copy(bucket, key, bucket, f"{prefix}/copy")
        elif verb == "download":
            client.download_file(bucket, key, tmp_path / "file")
        else:
            getattr(client, verb)(bucket, key)

    for name in (bucket, f"no-such-{prefix[:8]}"):
        with pytest.raises(NotFoundError):
            attempt(name)
    assert not list(tmp_path.iterdir())
    assert not client.exists(bucket, f"{prefix}/missing")
    assert not client.exists(bucket, f"{prefix}/copy")


def test_no_bucket_is_made_by_writing(client: MinIOClient, prefix: str) -> None:
    """A misspelt bucket is an error, not a new bucket."""
    with pytest.raises(NotFoundError):
        client.put(f"no-such-{prefix[:8]}", "key", b"x")
    with pytest.raises(NotFoundError):
        list(client.list(f"no-such-{prefix[:8]}"))


@pytest.mark.parametrize("key", ["", "../x", "a//b", "/a", "a/./b"])
def test_keys_that_might_be_folded_never_reach_the_server(
    client: MinIOClient, bucket: str, key: str, tmp_path: Path
) -> None:
    """Every verb that takes a key refuses one that points elsewhere."""
    file = tmp_path / "file"
    file.write_bytes(b"x")
    verbs: list[Callable[[], object]] = [
        lambda: client.put(bucket, key, b"x"),
        lambda: client.get(bucket, key),
        lambda: client.head(bucket, key),
        lambda: client.exists(bucket, key),
        lambda: client.delete(bucket, key),
        lambda: client.copy(bucket, key, bucket, "a"),
        lambda: client.copy(bucket, "a", bucket, key),
        lambda: client.upload_file(file, bucket, key),
        lambda: client.download_file(bucket, key, tmp_path / "other"),
        lambda: client.generate_presigned_url(bucket, key),
    ]
    for verb in verbs:
        with pytest.raises(InvalidKeyError):
            verb()


def test_an_object_written_anew_is_the_new_one(
    client: MinIOClient, bucket: str, prefix: str
) -> None:
    """An unconditional write replaces bytes, version and metadata."""
    first = client.put(bucket, f"{prefix}/x", b"one", metadata={"a": "1"})
    second = client.put(bucket, f"{prefix}/x", b"two")
    assert first != second
    stored = client.get(bucket, f"{prefix}/x")
    assert (stored.data, stored.etag, "a" in stored.metadata) == (b"two", second, False)


def test_writing_only_what_is_absent(client: MinIOClient, bucket: str, prefix: str) -> None:
    """The first writer wins; the second is told and changes nothing."""
    client.put(bucket, f"{prefix}/once", b"first", if_none_match=True)
    with pytest.raises(PreconditionError):
        client.put(bucket, f"{prefix}/once", b"second", if_none_match=True)
    assert client.get(bucket, f"{prefix}/once").data == b"first"


def test_writing_over_a_known_version_only(client: MinIOClient, bucket: str, prefix: str) -> None:
    """A version that has gone by cannot be overwritten in ignorance of the next."""
    first = client.put(bucket, f"{prefix}/cas", b"1")
    second = client.put(bucket, f"{prefix}/cas", b"2", if_match=first)
    with pytest.raises(PreconditionError):
        client.put(bucket, f"{prefix}/cas", b"3", if_match=first)
    assert client.get(bucket, f"{prefix}/cas").etag == second


def test_an_absent_object_is_never_made_by_a_write_over_a_version(
    client: MinIOClient, bucket: str, prefix: str
) -> None:
    """Where a server would create it, as MinIO does, the client looks first."""
    etag = client.put(bucket, f"{prefix}/gone", b"1")
    client.delete(bucket, f"{prefix}/gone")
    with pytest.raises(PreconditionError):
        client.put(bucket, f"{prefix}/gone", b"2", if_match=etag)
    assert not client.exists(bucket, f"{prefix}/gone")


def test_of_many_first_writers_one_wins(client: MinIOClient, bucket: str, prefix: str) -> None:
    """Eight threads that all want to be first: one is."""

    def attempt(number: int) -> int | None:
        try:
            client.put(bucket, f"{prefix}/race", b"%d" % number, if_none_match=True)
        except PreconditionError:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        winners = [number for number in threads.map(attempt, range(8)) if number is not None]
    assert len(winners) == 1
    assert client.get(bucket, f"{prefix}/race").data == b"%d" % winners[0]


def test_no_increment_is_lost_in_a_race(client: MinIOClient, bucket: str, prefix: str) -> None:
    """Eight threads adding one 25 times each, by compare-and-swap, make exactly 200."""
    key = f"{prefix}/counter"
    client.put(bucket, key, json.dumps([0, ""]).encode())

    def count(_: int) -> None:
        for _ in range(25):
            while True:
                stored = client.get(bucket, key)
                # The nonce makes each write unlike any other, as put() asks for.
                value = [json.loads(stored.data)[0] + 1, uuid.uuid4().hex]
                try:
                    client.put(bucket, key, json.dumps(value).encode(), if_match=stored.etag)
                except PreconditionError:
                    time.sleep(random.uniform(0, 0.05))
                    continue
                break

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))
    assert json.loads(client.get(bucket, key).data)[0] == 200


def test_reading_into_memory_is_bounded(client: MinIOClient, bucket: str, prefix: str) -> None:
    """An object larger than expected is refused before it is read."""
    client.put(bucket, f"{prefix}/big", b"x" * 1001)
    with pytest.raises(StoreError, match="1001"):
        client.get(bucket, f"{prefix}/big", max_bytes=1000)
    assert len(client.get(bucket, f"{prefix}/big", max_bytes=1001).data) == 1001


def test_an_object_streams_in_blocks(client: MinIOClient, bucket: str, prefix: str) -> None:
    """Blocks joined are the object, and its facts are known before the first."""
    data = os.urandom(3_000_001)
    client.put(bucket, f"{prefix}/stream", data)
    with client.open(bucket, f"{prefix}/stream") as stream:
        assert stream.info.size == len(data)
        blocks = list(stream)
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) < 1_000_000


def test_bytes_that_do_not_match_their_digest_are_refused(
    client: MinIOClient, bucket: str, prefix: str, tmp_path: Path
) -> None:
    """What was overwritten by another program, under our digest, is noticed on the way back."""
    key = f"{prefix}/damaged"
    raw = client._connections.retried
    raw.put_object(Bucket=bucket, Key=key, Body=b"garbage", Metadata={"sha256": "0" * 64})
    with pytest.raises(IntegrityError):
        client.get(bucket, key)
    with pytest.raises(IntegrityError):
        client.download_file(bucket, key, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_listing_is_by_prefix(client: MinIOClient, bucket: str, prefix: str) -> None:
    """A prefix names its objects and no others, with size and ETag, in order in each folder."""
    names = ["a/2", "a/10", "a/1", "a.b/1", "b", "é/1"]
    etags = {name: client.put(bucket, f"{prefix}/{name}", name.encode()) for name in names}
    found = list(client.list(bucket, f"{prefix}/"))
    assert sorted(info.key for info in found) == sorted(f"{prefix}/{name}" for name in names)
    assert {info.key.removeprefix(f"{prefix}/"): info.etag for info in found} == etags
    assert [info.size for info in client.list(bucket, f"{prefix}/a/")] == [3, 4, 3]
    assert list(client.list(bucket, f"{prefix}/nothing/")) == []
    assert sorted(client.list_folders(bucket, f"{prefix}/")) == ["a", "a.b", "é"]


@pytest.mark.slow
def test_listing_and_deleting_go_on_beyond_a_page(
    client: MinIOClient, bucket: str, prefix: str
) -> None:
    """More objects than a server lists at once are all listed, and all deleted."""
    keys = [f"{prefix}/{number:05d}/x" for number in range(1_205)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: client.put(bucket, key, b"x"), keys))
    assert [info.key for info in client.list(bucket, prefix)] == keys
    assert len(list(client.list_folders(bucket, f"{prefix}/"))) == len(keys)
    assert client.delete_many(bucket, (info.key for info in client.list(bucket, prefix))) == 1_205
    assert list(client.list(bucket, prefix)) == []


def test_deleting_what_is_gone_is_no_error(client: MinIOClient, bucket: str, prefix: str) -> None:
    """A deletion can be repeated, one by one and by the thousand."""
    for name in "abc":
        client.put(bucket, f"{prefix}/{name}", b"x")
    client.delete(bucket, f"{prefix}/a")
    client.delete(bucket, f"{prefix}/a")
    assert client.delete_many(bucket, [f"{prefix}/{name}" for name in "abc"]) == 3
    assert client.delete_many(bucket, []) == 0
    assert list(client.list(bucket, prefix)) == []


def test_copies_keep_bytes_and_facts(
    client: MinIOClient, store_config: StoreConfig, bucket: str, prefix: str
) -> None:
    """A copy is the same object; new metadata, where given, replaces all but the digest."""
    jobs = store_config.buckets.jobs
    client.put(bucket, f"{prefix}/a.wav", b"take", metadata={"digest": "d", "seconds": "1"})
    source = client.head(bucket, f"{prefix}/a.wav")
    same = client.copy(bucket, f"{prefix}/a.wav", jobs, f"{prefix}/b.wav")
    assert (same.metadata, same.size, same.content_type) == (
        source.metadata,
        source.size,
        source.content_type,
    )
    other = client.copy(bucket, f"{prefix}/a.wav", jobs, f"{prefix}/c.wav", metadata={"x": "é"})
    assert other.metadata == {"x": "é", "sha256": source.metadata["sha256"]}
    assert other.content_type == source.content_type
    assert client.get(jobs, f"{prefix}/c.wav").data == b"take"


def test_files_go_up_and_come_down(
    client: MinIOClient, bucket: str, prefix: str, tmp_path: Path
) -> None:
    """A file comes back byte for byte, its progress told up to the last byte."""
    source, target = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(os.urandom(2_000_003))
    target.write_bytes(b"old")
    sent: list[tuple[int, int]] = []
    received: list[tuple[int, int]] = []
    info = client.upload_file(
        source,
        bucket,
        f"{prefix}/a.mp3",
        metadata={"n": "1"},
        on_progress=lambda done, total: sent.append((done, total)),
    )
    assert info.content_type == "audio/mpeg"
    assert info.metadata["n"] == "1"
    assert info.metadata["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    client.download_file(
        bucket,
        f"{prefix}/a.mp3",
        target,
        on_progress=lambda done, total: received.append((done, total)),
    )
    assert target.read_bytes() == source.read_bytes()
    assert sent[-1] == received[-1] == (2_000_003, 2_000_003)
    assert sorted(received) == received
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.bin", "b.bin"]


@pytest.mark.slow
def test_a_large_file_goes_in_parts(
    client: MinIOClient, bucket: str, prefix: str, tmp_path: Path
) -> None:
    """Seventy megabytes travel as a multipart upload and come back equal."""
    source, target = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(os.urandom(70 * 1024 * 1024))
    info = client.upload_file(source, bucket, f"{prefix}/large")
    assert info.size == source.stat().st_size
    assert info.etag.endswith("-5")  # S3 marks an upload of five parts so
    client.download_file(bucket, f"{prefix}/large", target)
    assert target.read_bytes() == source.read_bytes()
    client.delete(bucket, f"{prefix}/large")


@pytest.mark.slow
def test_a_large_upload_that_fails_leaves_nothing(
    client: MinIOClient, bucket: str, prefix: str, tmp_path: Path
) -> None:
    """An upload broken off by its own program leaves neither object nor parts."""
    source = tmp_path / "a.bin"
    source.write_bytes(bytes(70 * 1024 * 1024))

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        client.upload_file(source, bucket, f"{prefix}/large", on_progress=stop)
    assert not client.exists(bucket, f"{prefix}/large")
    assert all(upload.key != f"{prefix}/large" for upload in client.incomplete_uploads(bucket))


def test_files_that_cannot_be_read_or_written_are_named(
    client: MinIOClient, bucket: str, prefix: str, tmp_path: Path
) -> None:
    """What is wrong on this side is not blamed on the store."""
    with pytest.raises(InputError, match="missing"):
        client.upload_file(tmp_path / "missing.bin", bucket, f"{prefix}/x")
    with pytest.raises(InputError):
        client.upload_file(tmp_path, bucket, f"{prefix}/x")
    client.put(bucket, f"{prefix}/x", b"x")
    with pytest.raises(OutputError, match="nowhere"):
        client.download_file(bucket, f"{prefix}/x", tmp_path / "nowhere" / "file")
    (tmp_path / "nowhere").write_bytes(b"a file, no directory")
    with pytest.raises(OutputError, match="nowhere"):
        client.download_file(bucket, f"{prefix}/x", tmp_path / "nowhere" / "file")


def test_a_link_opens_for_anybody(client: MinIOClient, bucket: str, prefix: str) -> None:
    """A link needs no credentials, names the file as asked, and no other object."""
    client.put(bucket, f"{prefix}/é a+b.mp3", b"audio")
    client.put(bucket, f"{prefix}/secret", b"secret")
    url = client.generate_presigned_url(
        bucket, f"{prefix}/é a+b.mp3", 60, download_name="São João.mp3"
    )
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"audio"
        assert "filename*=UTF-8''S%C3%A3o%20Jo%C3%A3o.mp3" in answer.headers["Content-Disposition"]
    assert read_all(client.generate_presigned_url(bucket, f"{prefix}/é a+b.mp3")) == b"audio"
    with pytest.raises(urllib.error.HTTPError) as refused:
        read_all(url.replace("%C3%A9%20a%2Bb.mp3", "secret"))
    assert refused.value.code == 403


def test_a_link_expires(client: MinIOClient, bucket: str, prefix: str) -> None:
    """After its time a link opens nothing."""
    client.put(bucket, f"{prefix}/x", b"x")
    url = client.generate_presigned_url(bucket, f"{prefix}/x", 1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        read_all(url)
    assert refused.value.code == 403


@pytest.mark.parametrize("expiration", [0, -1, MAX_LINK_SECONDS + 1])
def test_the_life_of_a_link_is_bounded(
    client: MinIOClient, bucket: str, prefix: str, expiration: int
) -> None:
    """One second to seven days, as S3 has it."""
    with pytest.raises(SettingError, match=str(expiration)):
        client.generate_presigned_url(bucket, f"{prefix}/x", expiration)


def test_links_name_the_public_endpoint_and_its_own_credentials(
    store_config: StoreConfig, bucket: str, prefix: str
) -> None:
    """A link is signed for the address that browsers use, by the user that may only read."""
    config = replace(
        store_config,
        public_endpoint="https://audio.example.org",
        link_credentials=Credentials("reader", "readers-secret"),
    )
    url = MinIOClient(config).generate_presigned_url(bucket, f"{prefix}/x", 60)
    assert urlsplit(url).netloc == "audio.example.org"
    assert "X-Amz-Credential=reader%2F" in url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert store_config.credentials.access_key not in url


@pytest.mark.parametrize("part", ["access_key", "secret_key"])
def test_wrong_credentials_are_named_as_such(
    store_config: StoreConfig, client: MinIOClient, bucket: str, prefix: str, part: str
) -> None:
    """An unknown key and a wrong secret are refused at once, by every kind of call."""
    wrong = replace(store_config.credentials, **{part: "wrong-wrong-wrong"})
    stranger = MinIOClient(replace(store_config, credentials=wrong))
    calls: list[Callable[[], object]] = [
        stranger.ping,
        stranger.ensure_buckets,
        lambda: stranger.put(bucket, f"{prefix}/x", b"x"),
        lambda: stranger.put(bucket, f"{prefix}/x", b"x", if_none_match=True),
        lambda: list(stranger.list(bucket)),
    ]
    for call in calls:
        with pytest.raises(StoreAccessError) as caught:
            call()
        assert "MINIO_ACCESS_KEY" in caught.value.remedy
        assert "wrong-wrong" not in str(caught.value)
    assert not client.exists(bucket, f"{prefix}/x")


def test_buckets_are_made_once(store_config: StoreConfig) -> None:
    """Making the buckets can be repeated, even at once, and keeps what they hold."""
    config = own_buckets(store_config)
    client = MinIOClient(config)
    client.ping()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: client.ensure_buckets(), range(4)))
    client.put(config.buckets.refs, "x", b"x")
    client.ensure_buckets()
    client.ping()
    assert client.exists(config.buckets.refs, "x")


def test_uploads_left_half_done_can_be_dropped(
    client: MinIOClient, bucket: str, prefix: str
) -> None:
    """An upload that nobody will complete is found and aborted; a second time is no error."""
    raw = client._connections.retried
    upload = raw.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/half")
    raw.upload_part(
        Bucket=bucket,
        Key=f"{prefix}/half",
        UploadId=upload["UploadId"],
        PartNumber=1,
        Body=b"x" * 100,
    )
    found = [item for item in client.incomplete_uploads(bucket) if item.key == f"{prefix}/half"]
    assert len(found) == 1
    client.abort_upload(bucket, found[0])
    client.abort_upload(bucket, found[0])
    assert all(item.key != f"{prefix}/half" for item in client.incomplete_uploads(bucket))
