"""Connections that break in the middle, between the client and a real store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.errors import IntegrityError, PreconditionError, StoreUnavailableError
from darkchannel.storage.client import MinIOClient
from tests.storage.proxy import Faults, proxied

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def direct(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture
def bucket(store_config: StoreConfig) -> str:
    return store_config.buckets.temp


@pytest.fixture
def key() -> str:
    return f"{uuid.uuid4().hex}/object"


@pytest.fixture
def broken(store_config: StoreConfig) -> Iterator[tuple[MinIOClient, Faults]]:
    """A client behind a proxy, and the switches of its faults."""
    with proxied(store_config) as (config, faults):
        yield MinIOClient(config, read_timeout=2), faults


def test_a_download_goes_on_where_it_broke(
    direct: MinIOClient,
    broken: tuple[MinIOClient, Faults],
    bucket: str,
    key: str,
    tmp_path: Path,
) -> None:
    """A connection cut twice in the middle costs neither the file nor the bytes received."""
    client, faults = broken
    direct.put(bucket, key, DATA)
    faults.cut_after = [1_000_000, 500_000]
    progress: list[int] = []
    client.download_file(
        bucket, key, tmp_path / "file", on_progress=lambda done, _: progress.append(done)
    )
    assert (tmp_path / "file").read_bytes() == DATA
    assert progress == sorted(progress)
    asked = [request for request in faults.requests if request.startswith(b"GET")]
    assert len(asked) == 3
    assert [b"range: bytes=" in request.lower() for request in asked] == [False, True, True]
    assert all(b"if-match" in request.lower() for request in asked[1:])


def test_a_stream_waits_for_a_store_that_comes_back(
    direct: MinIOClient, broken: tuple[MinIOClient, Faults], bucket: str, key: str
) -> None:
    """A store that refuses for a while after the break does not end the stream either."""
    client, faults = broken
    direct.put(bucket, key, DATA)
    # Three attempts of the library and one of ours fail before the last of the cuts.
    faults.cut_after = [1_000_000, *([1] * 5)]
    with client.open(bucket, key) as stream:
        assert b"".join(stream) == DATA
    assert faults.cut_after == []


def test_a_stream_that_keeps_breaking_is_given_up(
    direct: MinIOClient,
    broken: tuple[MinIOClient, Faults],
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a single new byte in five attempts the store counts as gone, and no file appears."""
    client, faults = broken
    key = f"{uuid.uuid4().hex}/object"
    direct.put(bucket, key, DATA)
    monkeypatch.setattr("time.sleep", lambda _: None)
    # Enough for the headers of the first answer, and for nothing of the others.
    faults.cut_after = [100_000, *([1] * 40)]
    with pytest.raises(StoreUnavailableError):
        client.download_file(bucket, key, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_bytes_changed_on_the_way_are_noticed(
    direct: MinIOClient,
    broken: tuple[MinIOClient, Faults],
    bucket: str,
    key: str,
    tmp_path: Path,
) -> None:
    """A file is checked before it appears; the one that was there stays."""
    client, faults = broken
    direct.put(bucket, key, DATA)
    (tmp_path / "file").write_bytes(b"old")
    faults.garble = True
    with pytest.raises(IntegrityError, match="SHA-256"):
        client.download_file(bucket, key, tmp_path / "file")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_an_object_replaced_while_being_read_is_not_mixed_up(
    direct: MinIOClient, broken: tuple[MinIOClient, Faults], bucket: str, key: str
) -> None:
    """A stream never continues with the bytes of another version."""
    client, faults = broken
    direct.put(bucket, key, DATA)
    faults.cut_after = [1_000_000]
    with client.open(bucket, key) as stream:
        blocks = iter(stream)
        next(blocks)
        direct.put(bucket, key, DATA[::-1])
        with pytest.raises(PreconditionError):
            list(blocks)


def test_a_conditional_write_whose_answer_is_lost_has_happened(
    direct: MinIOClient, broken: tuple[MinIOClient, Faults], bucket: str, key: str
) -> None:
    """The object is read back: the writer learns that it won, and of its version."""
    client, faults = broken
    client.exists(bucket, key)
    faults.swallow_answers = 1
    etag = client.put(bucket, key, b"mine", if_none_match=True)
    assert direct.get(bucket, key).etag == etag
    assert direct.get(bucket, key).data == b"mine"
    assert faults.swallow_answers == 0


def test_a_conditional_write_that_never_arrived_is_not_taken_for_done(
    direct: MinIOClient, broken: tuple[MinIOClient, Faults], bucket: str, key: str
) -> None:
    """With the store silent nothing can be known, and that is said."""
    slow, faults = broken
    client = MinIOClient(slow.config, read_timeout=0.5)
    direct.put(bucket, key, b"theirs")
    faults.silent = True
    with pytest.raises(StoreUnavailableError):
        client.put(bucket, key, b"mine", if_none_match=True)
    assert direct.get(bucket, key).data == b"theirs"


def test_an_upload_survives_a_lost_answer(
    direct: MinIOClient,
    broken: tuple[MinIOClient, Faults],
    bucket: str,
    key: str,
    tmp_path: Path,
) -> None:
    """An unconditional write is simply sent again."""
    client, faults = broken
    (tmp_path / "file").write_bytes(DATA)
    faults.swallow_answers = 1
    client.upload_file(tmp_path / "file", bucket, key)
    assert direct.get(bucket, key).data == DATA
