"""What is sent when a recorded request is asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from rackwright.migrate.asking.way import Way
from rackwright.migrate.recorded_request import RecordedRequest

PATHS = ("/v1/chat/completions", "/v1/completions")
"""What is replayed. Two models' embeddings are in different spaces, so comparing them would say nothing."""
_STREAMING = ("stream", "stream_options")


def cloud_body(request: RecordedRequest) -> bytes:
    """Return the body for the cloud: as it was recorded, but not streamed.

    A stream has the same text in pieces. One document is complete or it isn't, and always has the token counts
    that a budget needs; in a stream, only clients that asked for them get them.
    """
    return _dumped(request.body, request.model)


def fleet_body(request: RecordedRequest, name: str, way: Way) -> bytes:
    """Return the body for the fleet's model with this name, changed as the map says, and not streamed either."""
    return _dumped(way.body(request), name)


def lacks_media(body: Mapping[str, JsonValue]) -> bool:
    """Return whether an image, sound or file was replaced by its description when the request was recorded."""
    waiting: list[JsonValue] = list(body.values())
    # Not recursive: a body can be deep.
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "placeholder" in one and "sha256" in one:
                return True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _dumped(body: Mapping[str, JsonValue], model: str) -> bytes:
    kept = {key: value for key, value in body.items() if key not in _STREAMING}
    # A lone half of a surrogate pair, which JSON can escape, has no UTF-8.
    return json.dumps({**kept, "model": model}, ensure_ascii=False).encode("utf-8", "replace")
