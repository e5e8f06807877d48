"""The OpenAPI document is true: whatever it allows is answered as it says."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.running import Running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PATHS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/voices"),
    ("GET", "/metrics"),
    ("POST", "/synthesize-to-s3"),
    ("POST", "/v1/audio/speech"),
    ("GET", "/engine"),
    ("POST", "/engine/voice"),
    ("POST", "/engine/tokens"),
    ("POST", "/engine/speech"),
]


def test_every_path_is_tried(speech: Running) -> None:
    """The list above is that of the document."""
    document = speech.client.get("/openapi.json").json()
    there = {(m.upper(), path) for path, ms in document["paths"].items() for m in ms}
    assert there == set(PATHS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(*path, "positive") for path in PATHS]
    # There is nothing to get wrong in a request without input.
    + [(*path, "negative") for path in PATHS if path[0] == "POST"],
)
def test_answers_are_those_documented(speech: Running, method: str, path: str, mode: str) -> None:
    """Neither what fits the document nor what does not brings a 5xx or an answer it lacks."""
    schema = schemathesis.openapi.from_url(f"{speech.url}/openapi.json")
    operation = schema[path][method]
    kind = schemathesis.GenerationMode(mode)

    @settings(
        max_examples=25 if method == "POST" else 3,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind))
    def answers(case: Any) -> None:
        answer = case.call(base_url=speech.url, timeout=20)
        # schemathesis does not count "too large" among the ways to reject what is not valid.
        rejected = (
            [negative_data_rejection] if mode == "negative" and answer.status_code != 413 else []
        )
        case.validate_response(answer, checks=[*CHECKS, *rejected])

    answers()
