"""Logs as other programs write them, and how to read one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rackwright.migrate.importing.found import Format, Imported
from rackwright.migrate.importing.importer import Importer, shapes_of
from rackwright.migrate.importing.seen_ids import SeenIds
from rackwright.migrate.recorded_request import RecordedRequest

BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, I am anna@example.com"}]}
STORED: dict[str, Any] = {
    "object": "chat.completion",
    "id": "chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2",
    "model": "gpt-4o-2024-08-06",
    "created": 1738960610,
    "request_id": "req_ded8ab984ec4bf840f37566c1011c417",
    "tool_choice": None,
    "usage": {"total_tokens": 31, "completion_tokens": 18, "prompt_tokens": 13},
    "seed": 4944116822809979520,
    "top_p": 1.0,
    "temperature": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "system_fingerprint": "fp_50cad350e4",
    "input_user": None,
    "service_tier": "default",
    "tools": None,
    "metadata": {"team": "support"},
    "choices": [{"index": 0, "message": {"content": "A SECRET ANSWER", "role": "assistant"}}],
    "response_format": None,
    "messages": {
        "object": "list",
        "data": [{"id": "chatcmpl-A-0", "role": "user", "content": "write to bob@example.com", "name": None}],
    },
}
ROW: dict[str, Any] = {
    "request_id": "chatcmpl-1",
    "call_type": "acompletion",
    "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "spend": 2.85e-05,
    "total_tokens": 30,
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "startTime": "2026-11-30T08:15:01.250000+00:00",
    "endTime": "2026-11-30T08:15:02.250000+00:00",
    "model": "openai/gpt-4o-mini-2024",
    "model_group": "gpt-4o-mini",
    "requester_ip_address": "203.0.113.9",
    "messages": {},
    "response": {"choices": [{"message": {"content": "A SECRET ANSWER"}}]},
    "proxy_server_request": json.dumps(
        {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "Hi from 203.0.113.77"}],
            "n": 2,
            "litellm_metadata": {"x": 1},
        }
    ),
}
PAYLOAD: dict[str, Any] = {
    "id": "chatcmpl-2",
    "trace_id": "t",
    "call_type": "acompletion",
    "stream": True,
    "status": "success",
    "prompt_tokens": 7,
    "completion_tokens": 9,
    "startTime": 1764490501.25,
    "endTime": 1764490502.25,
    "model": "gpt-4o-mini",
    "model_group": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hi"}],
    "response": {"choices": [{"message": {"content": "A SECRET ANSWER"}}]},
    "model_parameters": {"temperature": 0.2, "stream": True, "tools": None},
    "metadata": {"user_api_key_hash": "88dc28"},
}


def entry(url: str, body: object, **more: Any) -> dict[str, Any]:
    """Return an entry of an HTTP archive, with headers that have a secret."""
    return {
        "startedDateTime": "2026-11-30T09:15:01.250+01:00",
        "time": 812.5,
        "request": {
            "method": "POST",
            "url": url,
            "headers": [{"name": "Authorization", "value": "Bearer A-SECRET-HEADER"}],
            "cookies": [{"name": "session", "value": "A-SECRET-COOKIE"}],
            "postData": {"mimeType": "application/json", "text": body if isinstance(body, str) else json.dumps(body)},
        },
        "response": {
            "status": 200,
            "headers": [{"name": "Set-Cookie", "value": "A-SECRET-COOKIE"}],
            "content": {
                "mimeType": "application/json",
                "text": '{"choices": [{"message": {"content": "A SECRET ANSWER"}}], "usage": {"prompt_tokens": 5, '
                '"completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 0}}}',
            },
        },
    } | more


def archive(*entries: dict[str, Any]) -> str:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": list(entries)}})


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def imported(
    *paths: Path, format: Format | None = None, known: tuple[str, ...] = (), more: dict[str, str] | None = None
) -> tuple[list[RecordedRequest], Imported]:
    """Return the requests of these files, and the report."""
    with SeenIds(known) as seen:
        importer = Importer(more or {}, seen, format)
        found = list(importer.requests(shapes_of(paths)))
    for one in found:
        assert RecordedRequest.model_validate_json(one.model_dump_json()) == one
    return found, importer.counts.imported()
