"""Fixtures for the audio stage."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts file systems of about so many bytes, where that is allowed."""
    mounted = []

    def mount(size: int) -> Path:
        place = tmp_path / f"disk-{size}"
        place.mkdir()
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={max(2, size // 4096) * 4096}",
            "tmpfs",
            str(place),
        ]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"mounting is not permitted: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """No process that was started in the test is there after it."""
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before
