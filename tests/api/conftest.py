"""A speech service of tones on the real store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from tests.api.jobs_api import running_jobs
from tests.api.running import Running
from tests.api.speakers import running_speech


@pytest.fixture(scope="session")
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
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
