"""A speech service of tones on the real store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from darkchannel.config import Buckets, StoreConfig
from darkchannel.storage import MinIOClient
from tests.api.jobs_api import running_jobs
from tests.api.running import Running
from tests.api.speakers import running_speech


@pytest.fixture(scope="session")
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture
def own_client(store_config: StoreConfig) -> MinIOClient:
    """Of buckets in which no other test's API looks for jobs."""
    own = uuid.uuid4().hex[:8]
    buckets = Buckets(**{kind: f"{kind}-{own}" for kind in ("jobs", "output", "refs", "temp")})
    client = MinIOClient(replace(store_config, buckets=buckets))
    client.ensure_buckets()
    return client


@pytest.fixture(scope="session")
def speech(client: MinIOClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_speech(client, tmp_path_factory.mktemp("speech")) as running:
        yield running


@pytest.fixture
def job_id() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def jobs(client: MinIOClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_jobs(client, tmp_path_factory.mktemp("jobs")) as running:
        yield running
