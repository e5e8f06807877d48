"""Write the tables of docs/api.md anew from the services' OpenAPI documents.

    python -m tests.docs.api_tables

A test does the same and compares.  Between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``
everything is generated; what stands around it is written by hand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from darkchannel.api.application import ALWAYS, Service
from darkchannel.api.jobs import jobs_app
from darkchannel.api.speech import speech_app
from darkchannel.config import Credentials, Settings, StoreConfig
from darkchannel.production.pipeline import Production
from darkchannel.production.pool import speech_threads
from darkchannel.production.runner import JobsParts
from darkchannel.production.sharing import SharedPool
from darkchannel.production.speaking import SpeechParts
from darkchannel.speech.tone import ToneEngine
from darkchannel.storage import JobManager, MinIOClient

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "api.md"


def speech_document() -> dict[str, Any]:
    """The OpenAPI document of the speech service; nothing is started for it."""
    nowhere = StoreConfig("http://127.0.0.1:9", Credentials("none", "none"))
    pool = functools.partial(speech_threads, 1)
    parts = SpeechParts(ToneEngine, pool, 1, MinIOClient(nowhere))
    return speech_app(Service.from_settings(Settings(Path("none"))), parts).openapi()


def jobs_document() -> dict[str, Any]:
    """The OpenAPI document of the jobs API; nothing is started for it but a thread."""
    client = MinIOClient(StoreConfig("http://127.0.0.1:9", Credentials("none", "none")))
    pool = functools.partial(speech_threads, 1)
    production = Production(client.config, client, JobManager(client), ToneEngine, pool)
    shared = SharedPool(pool, 1)
    try:
        parts = JobsParts("tone", production, production, shared)
        return jobs_app(Service.from_settings(Settings(Path("none"))), parts).openapi()
    finally:
        shared.close()


DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "jobs": jobs_document,
    "speech": speech_document,
}


def regenerated(text: str) -> str:
    """The document with its tables made anew."""
    for name, make in DOCUMENTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        tables = "\n".join(_tables(make()))
        text = pattern.sub(lambda _: f"{begin}\n{tables}\n{end}", text)  # noqa: B023 - used at once
    return text


def _tables(document: dict[str, Any]) -> Iterator[str]:
    yield "| request | does | answers |"
    yield "|---|---|---|"
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for method, path, operation in operations:
        usual = {str(status) for status in ALWAYS}
        answers = [status for status in operation["responses"] if status not in usual]
        if "503" in operation["responses"] and "security" not in operation:
            answers.append("503")
        yield f"| `{method} {path}` | {operation['summary']} | {', '.join(answers)} |"
    schemas = document["components"]["schemas"]
    for method, path, operation in operations:
        if "requestBody" in operation:
            yield f"\n`{method} {path}` takes a JSON object:\n"
            yield from _fields(operation["requestBody"], schemas)


def _fields(body: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    schema = _resolved(body["content"]["application/json"]["schema"], schemas)
    yield "| field | value | meaning |"
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        required = name in schema.get("required", ())
        value = _value(field, schemas)
        if not required and field.get("default") is not None:
            value += f", default `{_shown(field['default'])}`"
        elif not required:
            value += ", may be left out"
        yield f"| `{name}` | {value} | {field.get('description', '')} |"


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _value(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "anyOf" in field:
        kinds = [_value(kind, schemas) for kind in field["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in field or "const" in field:
        values = field.get("enum") or [field["const"]]
        return ", ".join(f"`{_shown(value)}`" for value in values)
    kind = "object" if "$ref" in field else field["type"]
    if kind == "array":
        return f"up to {field['maxItems']} {_value(field['items'], schemas)}s"
    if "minimum" in field and "maximum" in field:
        return f"{kind}, {field['minimum']:g} to {_large(field['maximum'])}"
    if "maxLength" in field:
        return f"text of up to {field['maxLength']:,} characters"
    return "text" if kind == "string" else str(kind)


def _large(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else "[]" if value == [] else str(value)


if __name__ == "__main__":
    DOCUMENT.write_text(regenerated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
