"""Fixtures of the embedded store, and of servers with several users."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from darkchannel.storage.client import MinIOClient
from darkchannel.storage.provision import provision
from tests.storage.embedded_processes import User, processes, put, wait_for
from tests.storage.users import DEPLOYMENTS, Deployment


@pytest.fixture(scope="module")
def made() -> Iterator[list[Path]]:
    """Every data directory of this module: at its end no process may be left of any."""
    data_dirs: list[Path] = []
    yield data_dirs
    wait_for(lambda: not any(processes(data_dir) for data_dir in data_dirs))
    left = [process for data_dir in data_dirs for process in processes(data_dir)]
    descriptions = [(process.pid, process.cmdline()) for process in left]
    for process in left:
        process.kill()
    assert not descriptions


@pytest.fixture
def data_dir(tmp_path: Path, made: list[Path]) -> Path:
    """A data directory of a name that is hard on programs."""
    made.append(tmp_path / "a b,ção")
    return made[-1]


@pytest.fixture
def join(data_dir: Path) -> Iterator[Callable[..., User]]:
    """Starts users of the data directory, and kills those that are left."""
    users: list[User] = []

    def start(**options: Any) -> User:
        users.append(User(data_dir, **options))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, made: list[Path]
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A store with one object, for tests that only look at it, and its environment."""
    made.append(tmp_path_factory.mktemp("running"))
    user = User(made[-1], env={**os.environ, "DEEP_SECRET": "not for the store"})
    put(user.env, "a/b", b"kept")
    yield made[-1], user.env
    assert user.leave() == 0


@pytest.fixture(scope="module", params=sorted(DEPLOYMENTS))
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A server set up by its administrator, with a key for each service."""
    with DEPLOYMENTS[request.param](tmp_path_factory.mktemp(request.param)) as deployment:
        list(provision(MinIOClient(deployment.admin)))
        yield deployment
