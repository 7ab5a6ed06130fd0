"""A request from an entry of an HTTP archive (HAR 1.2). Only POST requests to known paths; headers are never read."""

from __future__ import annotations

import base64
import binascii
import json
import re

from rackwright.migrate.importing.found import Item, Reason, known_path, of_body, seconds_of, usage_of

_USAGE = re.compile(r'"usage"\s{0,9}:\s{0,9}\{[^{}]{0,2000}(?:\{[^{}]{0,2000}\}[^{}]{0,2000}){0,4}\}')


def request_of(value: object) -> Item:
    request = value.get("request") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(request, dict):
        return Reason.NOT_ENTRY
    found = known_path(str(request.get("url", "")))
    if found is None or str(request.get("method", "")).upper() != "POST":
        return Reason.OTHER
    body = _body(request.get("postData"))
    if isinstance(body, Reason):
        return body
    path, model = found
    return of_body(
        body,
        path=path,
        model=model,
        arrived=seconds_of(value.get("startedDateTime")),
        tokens=_tokens(value.get("response")),
    )


def _body(data: object) -> dict[str, object] | Reason:
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str) or not text:
        return Reason.NO_PROMPT
    try:
        if isinstance(data, dict) and data.get("encoding") == "base64":
            text = base64.b64decode(text).decode()
        found = json.loads(text)
    except (ValueError, RecursionError, binascii.Error):
        return Reason.NOT_JSON
    return found if isinstance(found, dict) else Reason.NOT_OBJECT


def _tokens(response: object) -> tuple[int | None, int | None]:
    """Return the token counts of an answer, also of a stream; nothing else of the answer is used."""
    content = response.get("content") if isinstance(response, dict) else None
    text = content.get("text") if isinstance(content, dict) else None
    if not isinstance(text, str):
        return None, None
    if isinstance(content, dict) and content.get("encoding") == "base64":
        try:
            text = base64.b64decode(text).decode(errors="replace")
        except (ValueError, binascii.Error):
            return None, None
    # The counts are at the end of an answer, in a stream as well.
    found = [one[0] for one in _USAGE.finditer(text, max(0, len(text) - 100_000))]
    try:
        return usage_of(json.loads(f"{{{found[-1]}}}")["usage"]) if found else (None, None)
    except (ValueError, RecursionError):
        return None, None
