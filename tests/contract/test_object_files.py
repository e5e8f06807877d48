"""Files going up and coming down, small and in parts, on each server there is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from darkchannel.errors import (
    InputError,
    OutputError,
)
from darkchannel.storage.client import MinIOClient


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
