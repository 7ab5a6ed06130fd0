"""What is sent when a recorded request is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from rackwright.migrate.recorded_request import RecordedRequest

PATHS = ("/v1/chat/completions", "/v1/completions")
"""What is replayed. Two models' embeddings are in different spaces, so comparing them would say nothing."""
_STREAMING = ("stream", "stream_options")
Rewrite = Callable[[Mapping[str, JsonValue]], Mapping[str, JsonValue]]
"""Changes a body's parameters into those that the fleet's engines take."""


def cloud_body(request: RecordedRequest) -> bytes:
    """Return the body for the cloud: as it was recorded, but not streamed.

    A stream has the same text in pieces. One document is complete or it isn't, and always has the token counts
    that a budget needs; in a stream, only clients that asked for them get them.
    """
    return _dumped(request.body, request.model)


def fleet_body(request: RecordedRequest, name: str, rewrite: Rewrite) -> bytes:
    """Return the body for the fleet's model with this name, not streamed either."""
    return _dumped(rewrite(request.body), name)


def unchanged(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Rewrite nothing."""
    return body


def _dumped(body: Mapping[str, JsonValue], model: str) -> bytes:
    kept = {key: value for key, value in body.items() if key not in _STREAMING}
    # A lone half of a surrogate pair, which JSON can escape, has no UTF-8.
    return json.dumps({**kept, "model": model}, ensure_ascii=False).encode("utf-8", "replace")
