"""Errors as RFC 9457 problem documents, with ``success: false`` beside its fields.

``title`` is the status in words, ``detail`` the error's sentence.  ``error`` says the same as the
command line's JSON does, and where OpenAI's clients look for it: ``type`` is the name of its class
in :mod:`darkchannel.errors`.  ``remedy`` and ``errors`` (what is wrong in which field) stand there
where they are known.  Nothing of the inside gets out: no traceback, no setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from darkchannel import errors
from darkchannel.api import logs

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""What a 503 asks for: about what a store needs to come back."""

STATUS: dict[type[errors.DarkChannelError], int] = {
    errors.DarkChannelError: 500,
    errors.InputError: 422,
    errors.SettingError: 400,
    errors.UnavailableError: 503,
    errors.NotFoundError: 404,
    errors.PreconditionError: 409,
    errors.StoreFullError: 507,
    errors.JobError: 409,
    errors.JobNotFoundError: 404,
    errors.SynthesisError: 422,
    errors.MergeError: 409,
}
"""By kind; a kind that is not here has its parent's."""

MOST_FIELDS = 20
_UNEXPECTED = "something went wrong that should not; the service's log says what"


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Where it stands, such as `body.chunk_index`.")
    message: str


class ErrorFacts(BaseModel):
    """What went wrong, as ``darkchannel render --json`` says it."""

    type: str = Field(description="The kind of error, such as `UnknownVoiceError`.")
    message: str
    chunk: int | None = None


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int
    detail: str
    success: bool = False
    error: ErrorFacts
    remedy: str | None = None
    errors: list[FieldProblem] | None = None
    request_id: str | None = Field(default=None, description="To be found in the log.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses=`` of a route: which problems it may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _phrase(status), "content": content} for status in sorted(statuses)
    }


def problem(
    status: int,
    detail: str,
    *,
    error: str,
    remedy: str = "",
    chunk: int | None = None,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as an answer; 429 and 503 always carry Retry-After."""
    document = Problem(
        title=_phrase(status),
        status=status,
        detail=detail,
        error=ErrorFacts(type=error, message=detail, chunk=chunk),
        remedy=remedy or None,
        errors=list(fields) or None,
        request_id=logs.bound().get("request_id"),
    )
    sent = dict(headers or {})
    if status in {429, 503}:
        sent.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return JSONResponse(document.model_dump(exclude_none=True), status, sent, media_type=MEDIA_TYPE)


def status_of(error: errors.DarkChannelError) -> int:
    """The HTTP status of an error of our own."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_of(error: Exception) -> JSONResponse:
    """The answer to any error; one that is not of our tree says nothing of itself."""
    if isinstance(error, errors.DarkChannelError):
        return problem(
            status_of(error),
            error.message,
            error=type(error).__name__,
            remedy=error.remedy,
            chunk=error.chunk,
        )
    return problem(500, _UNEXPECTED, error="InternalError")


def install(app: FastAPI) -> None:
    """Let an application answer all errors with problem documents."""

    async def known(_request: Request, error: Exception) -> JSONResponse:
        return problem_of(error)

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return problem_of(error)
        kind = "".join(word.capitalize() for word in _phrase(error.status_code).split())
        headers = error.headers
        return problem(error.status_code, str(error.detail), error=kind, headers=headers)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            return problem_of(error)
        fields = [
            FieldProblem(field=".".join(map(str, found["loc"]))[:200], message=found["msg"][:500])
            for found in error.errors()[:MOST_FIELDS]
        ]
        first = f"{fields[0].field}: {fields[0].message}" if fields else "it cannot be read"
        return problem(422, f"the request is not valid: {first}", error="InputError", fields=fields)

    app.add_exception_handler(errors.DarkChannelError, known)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
