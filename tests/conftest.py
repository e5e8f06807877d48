"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from darkchannel.config import StoreConfig
from tests.servers import SERVERS

# A shell starts what it puts into the background with Ctrl-C ignored, and every process started
# below would inherit that: tests that send it need it to be heard.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", params=sorted(SERVERS))
def store_config(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreConfig]:
    """A real store, shared by all tests: each uses job ids, prefixes or buckets of its own."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as config:
        yield config
