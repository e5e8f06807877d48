"""One store and one job manager for the suites of a module, and places of their own in it."""

from __future__ import annotations

import uuid

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import JobManager, MinIOClient


@pytest.fixture(scope="module")
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture(scope="module")
def jobs(client: MinIOClient) -> JobManager:
    return JobManager(client)


@pytest.fixture
def job_id(jobs: JobManager) -> str:
    return jobs.create_job("Capítulo 1", "Era uma vez.")


@pytest.fixture
def bucket(store_config: StoreConfig) -> str:
    return store_config.buckets.temp


@pytest.fixture
def prefix() -> str:
    """A folder no other test uses."""
    return uuid.uuid4().hex
