"""A store whose disk is full, on a disk small enough to fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darkchannel.errors import StoreFullError
from darkchannel.storage import MinIOClient
from tests.servers import SERVERS


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size, where this user may mount one."""
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    if subprocess.run([mount, *options], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("server", sorted(SERVERS))
def test_a_full_disk_is_told_as_such(server: str, tmp_path: Path) -> None:
    """Writing says that there is no room, and what was written before can still be read."""
    block = os.urandom(4 * 1024 * 1024)
    with small_disk(tmp_path, 300) as disk, SERVERS[server](disk) as config:
        client = MinIOClient(config)
        client.ensure_buckets()
        bucket = config.buckets.temp
        client.put(bucket, "first", block)

        def fill() -> None:
            for number in range(100):
                client.put(bucket, f"{number}", block)

        with pytest.raises(StoreFullError) as caught:
            fill()
        assert "darkchannel cleanup" in caught.value.remedy
        with pytest.raises(StoreFullError):
            client.put(bucket, "conditional", block, if_none_match=True)
        assert client.get(bucket, "first").data == block
