"""A request from a line of JSON: its body, or a line of OpenAI's batch input with the body in it."""

from __future__ import annotations

from rackwright.migrate.importing.found import Item, Reason, known_path, of_body


def request_of(value: object) -> Item:
    if not isinstance(value, dict):
        return Reason.NOT_OBJECT
    body = value.get("body")
    if not isinstance(body, dict):
        return of_body(value)
    found = known_path(str(value.get("url", "")))
    if found is None or str(value.get("method", "POST")).upper() != "POST":
        return Reason.OTHER
    path, model = found
    return of_body(body, path=path, model=model, id=str(value.get("custom_id") or ""))
