"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from darkchannel.config import StoreConfig
from tests.servers import SERVERS


@pytest.fixture(scope="session", params=sorted(SERVERS))
def store_config(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreConfig]:
    """A real store, shared by all tests: each uses job ids, prefixes or buckets of its own."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as config:
        yield config
