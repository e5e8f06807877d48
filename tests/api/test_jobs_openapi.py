"""The jobs API's OpenAPI document is true: whatever it allows is answered as it says."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.api.running import Running
from tests.api.test_openapi import CHECKS

PATHS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/voices"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/{job_id}"),
    ("GET", "/v1/jobs/{job_id}/download-url"),
    ("GET", "/v1/jobs/{job_id}/events"),
    ("DELETE", "/v1/jobs/{job_id}"),
    ("POST", "/v1/plan"),
    ("POST", "/v1/jobs"),
    ("POST", "/v1/jobs/{job_id}/resume"),
    ("POST", "/v1/jobs/{job_id}/chunks/{chunk}"),
    ("POST", "/v1/jobs/{job_id}/merge"),
]
BODIES = [path for path in PATHS if path[1] in {"/v1/plan", "/v1/jobs"} and path[0] == "POST"]


def test_every_path_is_tried(jobs: Running) -> None:
    """The list above is that of the document."""
    document = jobs.client.get("/openapi.json").json()
    there = {(m.upper(), path) for path, ms in document["paths"].items() for m in ms}
    assert there == set(PATHS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(*path, "positive") for path in PATHS] + [(*path, "negative") for path in BODIES],
)
def test_answers_are_those_documented(jobs: Running, method: str, path: str, mode: str) -> None:
    """Neither what fits the document nor what does not brings a 5xx or an answer it lacks."""
    schema = schemathesis.openapi.from_url(f"{jobs.url}/openapi.json")
    operation = schema[path][method]
    kind = schemathesis.GenerationMode(mode)
    checks = [*CHECKS, negative_data_rejection] if mode == "negative" else CHECKS

    @settings(
        max_examples=20 if (method, path) in BODIES else 5,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind))
    def answers(case: Any) -> None:
        case.call_and_validate(base_url=jobs.url, checks=checks, timeout=20)

    answers()
