"""A book whose chunks are spoken by services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from darkchannel.engines import EngineSpec
from darkchannel.production.pipeline import Production
from darkchannel.production.worker import EngineFactory
from darkchannel.storage import MinIOClient
from tests.api.speakers import running_speech
from tests.production.conftest import TONE, request_for


def test_takes_of_services_are_takes_of_the_engine(
    make_production: Callable[[EngineFactory], Production],
    client: MinIOClient,
    tmp_path: Path,
    unique: str,
) -> None:
    """A book rendered by a service has, byte for byte, the takes that the engine makes here."""
    text = "\n\n".join(f"Parágrafo {n} de {unique}." for n in range(1, 6))
    with running_speech(client, tmp_path) as running:
        remote = make_production(EngineSpec(running.url, Path("unused")))
        made = remote.render(request_for(text))
    assert (made.chunks_total, made.chunks_rendered) == (5, 5)
    here = make_production(TONE)
    request = request_for(text, job_id=f"here-{unique}")
    again = here.render(request)
    assert (again.chunks_reused, again.chunks_rendered) == (5, 0)
    fresh = make_production(TONE).render(
        type(request)(
            request.data, options=request.options, job_id=f"new-{unique}", use_cache=False
        )
    )
    assert fresh.chunks_rendered == 5
    bucket = client.config.buckets.jobs
    for index in range(1, 6):
        data = [
            client.get(bucket, f"{job}/chunks/chunk-{index:05d}.wav").data
            for job in (made.job_id, fresh.job_id)
        ]
        assert data[0] == data[1]
