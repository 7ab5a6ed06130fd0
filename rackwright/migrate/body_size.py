"""How large a request's body is, which the gateways limit with `gateway.max_request`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue


def body_size(body: Mapping[str, JsonValue]) -> int:
    """Return the bytes of the body as JSON, with the images, sounds and files whose placeholders it has, in base64.

    The client's own may have had a few more or fewer: other white space, other escapes, longer personal data.
    """
    from pydantic_core import to_json

    size = len(to_json(body))
    waiting: list[JsonValue] = list(body.values())
    # Not recursive: a body can be deep.
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            count = one.get("bytes") if "placeholder" in one and "sha256" in one else 0
            size += -(-count // 3) * 4 if isinstance(count, int) and count > 0 else 0
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return size
