"""What is sent when a recorded request is asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from rackwright.migrate.asking.way import Way
from rackwright.migrate.features.unsent import without_unsent
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.request_size import objects_in

PATHS = ("/v1/chat/completions", "/v1/completions")
"""What is replayed. Two models' embeddings are in different spaces, so comparing them would say nothing."""
_NOT_TEXT = ("file", "input_file", "input_audio")
_STREAMING = ("stream", "stream_options")


def cloud_body(request: RecordedRequest) -> bytes:
    """Return the body for the cloud: as it was recorded, but not streamed, not stored, and in the usual tier.

    A stream has the same text in pieces. One document is complete or it isn't, and always has the token counts
    that a budget needs; in a stream, only clients that asked for them get them.
    """
    return _dumped(request.body, request.model)


def fleet_body(request: RecordedRequest, name: str, way: Way) -> bytes:
    """Return the body for the fleet's model with this name, changed as the map says, and sent in the same way."""
    return _dumped(way.body(request), name)


def lacks_media(body: Mapping[str, JsonValue]) -> bool:
    """Return whether an image, sound or file was replaced by its description when the request was recorded."""
    return any("placeholder" in one and "sha256" in one for one in objects_in(body))


def costs_more(body: Mapping[str, JsonValue]) -> bool:
    """Return whether the cloud charges by more than tokens of text and images, so that a budget can't cover it: a
    search in the web, sounds in the answer, or a file that is stored at the provider."""
    if body.get("web_search_options") is not None or "audio" in body:
        return True
    tools, messages = body.get("tools"), body.get("messages")
    kinds = [one.get("type") for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
    if any(kind not in (None, "function", "custom") for kind in kinds):
        return True
    contents = [one.get("content") for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return any(isinstance(part, dict) and part.get("type") in _NOT_TEXT for part in parts)


def _dumped(body: Mapping[str, JsonValue], model: str) -> bytes:
    kept = {key: value for key, value in without_unsent(body).items() if key not in _STREAMING}
    # Without spaces, so that it is no larger than the size that was compared with what the gateways take.
    # A lone half of a surrogate pair, which JSON can escape, has no UTF-8.
    return json.dumps({**kept, "model": model}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
