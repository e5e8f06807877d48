"""Reading a text and its options from a request: JSON, or a form with a file."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from darkchannel.api.jobs_models import PlanRequest
from darkchannel.errors import InputError
from darkchannel.production.request import RenderRequest

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a request: longer than any novel.  Nothing sent is ever unpacked, so that it is the most
that a request can become."""

R = TypeVar("R", bound=PlanRequest)


class Sent:
    """What came in: options, text, and what it is."""

    def __init__(self, options: PlanRequest, data: bytes, input_format: str, name: str) -> None:
        self.options = options
        self.data = data
        self.input_format = input_format
        self.name = name

    def request(
        self, engine: str, job_id: str | None = None, use_cache: bool = True
    ) -> RenderRequest:
        """As production knows it."""
        return RenderRequest(
            data=self.data,
            input_format=self.input_format,
            options=self.options.options(engine),
            job_id=job_id,
            use_cache=use_cache,
            name=self.name,
        )


async def read_body(request: Request, model: type[R]) -> tuple[R, Sent]:
    """The options and the text of a request.

    Args:
        request: whose body is to be read.
        model: of its options.

    Raises:
        HTTPException: 415, it is neither JSON nor a form, or packed.
        RequestValidationError: an option is wrong or unknown.
        InputError: there is no text.
    """
    packed = request.headers.get("content-encoding", "identity")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if packed.lower() != "identity":
        raise HTTPException(415, f"a body packed with {packed[:40]} is not unpacked here")
    if kind == "application/json":
        body = await request.body()
        options = await asyncio.to_thread(_validated, model, body)
        return options, _inline(options)
    if kind == "multipart/form-data":
        return await _form(request, model)
    raise HTTPException(415, "send application/json or multipart/form-data")


def body_schema(model: type[PlanRequest]) -> dict[str, Any]:
    """``openapi_extra=`` of a route that reads such a body."""
    schema = model.model_json_schema()
    form = {
        **schema,
        "properties": {
            **schema["properties"],
            "file": {
                "type": "string",
                "format": "binary",
                "description": "Text or SSML; its name ends with .ssml or .xml for SSML.",
            },
        },
    }
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _validated(model: type[R], body: bytes | dict[str, Any]) -> R:
    try:
        if isinstance(body, bytes):
            return model.model_validate_json(body)
        return model.model_validate(body, strict=False)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from error


def _inline(options: PlanRequest) -> Sent:
    if options.ssml is not None:
        return Sent(options, options.ssml.encode(), "ssml", "Audiobook")
    if options.text is None:
        raise InputError("there is nothing to read", remedy="send text, ssml or a file")
    return Sent(options, options.text.encode(), "txt", "Audiobook")


async def _form(request: Request, model: type[R]) -> tuple[R, Sent]:
    async with request.form(max_files=1, max_fields=30, max_part_size=MAX_BODY_BYTES) as form:
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        files = [(name, value) for name, value in form.multi_items() if name not in fields]
        if any(name != "file" for name, _ in files):
            raise InputError("a file is sent in the field `file`")
        options = await asyncio.to_thread(_validated, model, fields)
        file = files[0][1] if files else None
        if not isinstance(file, UploadFile):
            return options, _inline(options)
        if options.text is not None or options.ssml is not None:
            raise InputError("there are a text and a file", remedy="send one of them")
        name = PurePath((file.filename or "").replace("\\", "/")).name
        ssml = name.lower().endswith((".ssml", ".xml"))
        stem = "".join(c for c in PurePath(name).stem if c.isprintable())[:200] or "Audiobook"
        return options, Sent(options, await file.read(), "ssml" if ssml else "txt", stem)
