"""A whole production on the real store, with the tone engine in one thread of this process."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.engines import EngineSpec
from darkchannel.models import Plan
from darkchannel.production.pipeline import Production
from darkchannel.production.request import RenderOptions, RenderRequest
from darkchannel.production.worker import EngineFactory
from darkchannel.storage import JobManager, MinIOClient

TONE = EngineSpec("tone", Path("unused"))


@contextmanager
def one_thread() -> Iterator[Executor]:
    """The smallest pool there is."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def client(store_config: StoreConfig) -> MinIOClient:
    client = MinIOClient(store_config)
    client.ensure_buckets()
    return client


@pytest.fixture
def make_production(
    store_config: StoreConfig, client: MinIOClient
) -> Callable[[EngineFactory], Production]:
    """Builds a production around any engine."""

    def make(make_engine: EngineFactory = TONE) -> Production:
        return Production(
            store=store_config,
            client=client,
            jobs=JobManager(client),
            make_engine=make_engine,
            pool=one_thread,
        )

    return make


@pytest.fixture
def production(make_production: Callable[[EngineFactory], Production]) -> Production:
    return make_production(TONE)


def request_for(text: str, *, job_id: str | None = None, **options: object) -> RenderRequest:
    """A request on the tone engine; every text of these tests is said by it."""
    return RenderRequest(
        data=text.encode(),
        options=RenderOptions(engine="tone", **options),  # type: ignore[arg-type]
        job_id=job_id,
    )


@pytest.fixture
def unique() -> str:
    """A word no other test says, so that the cache of takes cannot mix tests up."""
    return "p" + uuid.uuid4().hex[:12]


def stored_plan(production: Production, job_id: str) -> Plan:
    """The plan as it lies in the store."""
    return Plan.from_json(production.jobs.read_plan(job_id))
