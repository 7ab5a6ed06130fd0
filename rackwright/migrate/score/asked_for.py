"""What a recorded request asks for that an answer can be checked against: a JSON schema, tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import JsonValue

from rackwright.fleet.golden.json_schema import check_schema, validator_of
from rackwright.migrate.recorded_request import RecordedRequest

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_MOST_SCHEMAS = 512
"""Validators in memory: making one takes about as long as using it a hundred times."""
_LONGEST_SCHEMA = 256 * 1024
"""Characters of JSON; a longer schema isn't used."""


@dataclass(frozen=True)
class AskedFor:
    """The formats that a request asks for."""

    json: bool = False
    """Whether the answer should be JSON."""
    schema: Validator | None = None
    """None: it names no schema, or one that can't be used."""
    tools: Mapping[str, Validator | None] | None = None
    """Name → schema of its arguments; None: it has no tools, or forbids their use."""


def asked_for(request: RecordedRequest) -> AskedFor:
    """Return the formats that the request asks for. Never raises, whatever its body is."""
    form = _format(request.body)
    kind = form.get("type")
    return AskedFor(
        json=kind in ("json_schema", "json_object"),
        schema=_validator(_schema(form)) if kind == "json_schema" else None,
        tools=_tools(request.body),
    )


def _format(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return `response_format` of a chat completion, or `text.format` of a response."""
    return _map(body.get("response_format")) or _map(_map(body.get("text")).get("format"))


def _schema(form: Mapping[str, JsonValue]) -> JsonValue:
    return _map(form.get("json_schema")).get("schema") or form.get("schema")


def _tools(body: Mapping[str, JsonValue]) -> Mapping[str, Validator | None] | None:
    # Functions are the form before tools; they look like tools of a response.
    listed = body.get("tools") or body.get("functions")
    if "none" in (body.get("tool_choice"), body.get("function_call")) or not isinstance(listed, list):
        return None
    return dict(map(_tool, _functions(listed))) or None


def _functions(listed: list[JsonValue]) -> Iterator[Mapping[str, JsonValue]]:
    """Yield each function; chat completions have it in `function`, responses in the tool itself."""
    for tool in map(_map, listed):
        function = _map(tool.get("function")) or tool
        if tool.get("type", "function") == "function" and isinstance(function.get("name"), str):
            yield function


def _tool(function: Mapping[str, JsonValue]) -> tuple[str, Validator | None]:
    return str(function["name"]), _validator(function.get("parameters"))


def _validator(schema: JsonValue) -> Validator | None:
    if not isinstance(schema, dict):
        return None
    text = json.dumps(schema, sort_keys=True)
    return _made(text) if len(text) <= _LONGEST_SCHEMA else None


@lru_cache(maxsize=_MOST_SCHEMAS)
def _made(text: str) -> Validator | None:
    """Return None for a schema that can't be used: a client wrote it, and an old one may even be invalid."""
    schema = json.loads(text)
    try:
        return validator_of(check_schema(schema))
    except (ValueError, RecursionError):
        return None


def _map(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
