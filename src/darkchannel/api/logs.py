"""Logs as one JSON object a line, with the ids of request, job and chunk where they are known.

The standard library's logging is enough for that, and whatever a dependency logs comes out the
same way.  What must not be in a log is taken out where lines are written, whoever wrote them:
the query of a presigned link, an Authorization header, an API key.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any

ACCESS = logging.getLogger("darkchannel.access")

_SECRETS = (
    # All of a link's query: without one parameter the others still tell when, by whom, what.
    (re.compile(r"\?[^\s\"'<>]*X-Amz-[^\s\"'<>]*", re.IGNORECASE), "?[signature]"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 [secret]"),
    (re.compile(r"\bdck_[\w-]+"), "[key]"),
)
_bound: ContextVar[dict[str, Any] | None] = ContextVar("darkchannel_log_fields", default=None)


@contextmanager
def binding(**fields: Any) -> Iterator[None]:
    """Add fields to every line logged in this context, and to what :func:`bind` adds later."""
    token = _bound.set({**bound(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bind(**fields: Any) -> None:
    """Add fields, such as ``job_id`` and ``chunk``, to the lines of the request being answered."""
    current = _bound.get()
    if current is not None:
        current.update(fields)


def bound() -> Mapping[str, Any]:
    """The fields of this context."""
    return _bound.get() or {}


def redact(text: str) -> str:
    """Take secrets out of a text."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; ``extra={"fields": {...}}`` adds fields to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **bound(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        shown = {
            name: redact(value) if isinstance(value, str) else value for name, value in line.items()
        }
        return json.dumps(shown, ensure_ascii=False, default=lambda value: redact(str(value)))


def configure(stream: IO[str] | None = None, level: int = logging.INFO) -> None:
    """Send all logs of this process to a stream (standard error) as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # requests are logged by our own middleware
    # The one logs every request it makes, with the whole address; the other each step of its own
    # beginning and end, which ours say in a line each.
    for name in ("httpx", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
