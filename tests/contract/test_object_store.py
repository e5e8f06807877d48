"""What every store has to do with objects: one suite, run on each server there is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import (
    IntegrityError,
    InvalidKeyError,
    NotFoundError,
    PreconditionError,
    StoreAccessError,
    StoreError,
)
from darkchannel.storage.client import MinIOClient
from tests.servers import own_buckets


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
