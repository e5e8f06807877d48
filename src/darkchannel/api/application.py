"""What all HTTP services have in common, put together.

Outermost first: :class:`.requests.Requests`, :class:`.keys.RequireKey`,
:class:`.limits.BodyLimit`, then the routes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from darkchannel.api import problems
from darkchannel.api.keys import KeyFile, Keyring, RequireKey
from darkchannel.api.limits import BodyLimit
from darkchannel.api.metrics import CONTENT_TYPE, Metrics
from darkchannel.api.requests import OPEN_PATHS, Drain, Requests
from darkchannel.config import Settings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

ALWAYS = (401, 413, 421, 429, 500, 503)
"""What any request but one to an open path may be answered with."""


@dataclass(frozen=True)
class Service:
    """One service of this process: what it shares between its parts.

    Attributes:
        settings: of this process.
        keyring: who is let in.
        metrics: what is counted.
        drain: whether it is stopping.
    """

    settings: Settings
    keyring: Keyring
    metrics: Metrics = field(default_factory=Metrics)
    drain: Drain = field(default_factory=Drain)

    @classmethod
    def from_settings(cls, settings: Settings) -> Service:
        """A service with the keys of these settings.

        Raises:
            SettingError: the file of keys cannot be used.
        """
        return cls(settings, Keyring(KeyFile(settings.http.keys_file)))


def new_app(
    service: Service,
    *,
    title: str,
    description: str,
    max_body_bytes: int,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """An application with everything but its routes, ``/healthz`` and ``/metrics`` included.

    Args:
        service: what its parts share.
        title: of the OpenAPI document.
        description: likewise.
        max_body_bytes: the most a request may carry.
        lifespan: what is opened before the first request and closed after the last.
    """
    app = FastAPI(
        title=title,
        description=description,
        version=version("darkchannel"),
        lifespan=lifespan,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
    )
    problems.install(app)
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    app.add_middleware(RequireKey, keyring=service.keyring, rate=service.settings.http.rate)
    app.add_middleware(Requests, metrics=service.metrics, drain=service.drain)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]

    @app.get("/healthz", tags=["state"], summary="Whether the service is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/metrics",
        tags=["state"],
        summary="Numbers for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(service.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with what the middlewares answer in it."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            if "requestBody" in operation:  # that cannot even be decoded
                answers |= _by_name(400)
            if "422" in answers:
                answers |= _by_name(422)
            if path not in OPEN_PATHS:
                answers |= {k: v for k, v in _by_name(*ALWAYS).items() if k not in answers}
                operation["security"] = [{"key": []}, {}]
            operation["responses"] = dict(sorted(answers.items()))
    app.openapi_schema = document
    return document


def _by_name(*statuses: int) -> dict[str, Any]:
    return {str(status): answer for status, answer in problems.documented(*statuses).items()}
