"""How large a request is: the bytes of its body, the tokens of its prompt, and the most tokens of its answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from rackwright.migrate.recorded_request import MOST_TOKENS, RecordedRequest

PER_TOKEN = 4
"""Characters; what a token has on average in English text. Other languages and code have fewer."""
CHAT_LIMITS = ("max_completion_tokens", "max_tokens")
"""Fields of chat completions and completions that limit an answer."""
_RESPONSE_LIMITS = ("max_output_tokens",)
_TEXTS = ("messages", "prompt", "input", "instructions", "tools", "functions", "response_format", "text")
_DATA = re.compile(r"data:[\w.+-]{1,99}/[\w.+-]{1,99}[;,]")
"""How the URL of an image, a sound or a file begins that has its data."""
_IMAGES = ("image_url", "input_image")


def body_size(body: Mapping[str, JsonValue]) -> int:
    """Return the bytes of the body as JSON, with the images, sounds and files whose placeholders it has, in base64.

    The client's own may have had a few more or fewer: other white space, other escapes, longer personal data.
    """
    from pydantic_core import to_json

    return len(to_json(body)) + sum(map(_placeholder_size, objects_in(body)))


def prompt_tokens(request: RecordedRequest) -> int:
    """Return the tokens of the prompt as the provider counted them, or else about how many there are."""
    return estimated_tokens(request.body) if request.prompt_tokens is None else request.prompt_tokens


def estimated_tokens(body: Mapping[str, JsonValue]) -> int:
    """Return about how many tokens the prompt has, by its number of characters. Images count as nothing."""
    return math.ceil(sum(len(text) for name in _TEXTS for text in _texts(body.get(name))) / PER_TOKEN)


def answer_limit(request: RecordedRequest) -> int | None:
    """Return the most tokens of one answer that the request allows, at most MOST_TOKENS; None: it sets no limit."""
    names = _RESPONSE_LIMITS if request.path.endswith("/responses") else CHAT_LIMITS
    return max(count_in(request.body.get(name)) for name in names) or None


def count_in(value: JsonValue) -> int:
    """Return the positive number that a field has, rounded up and at most MOST_TOKENS; 0: it has none."""
    # To JSON, 3.0 is an integer.
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return MOST_TOKENS if value >= MOST_TOKENS else math.ceil(value)


def text_and_images(body: Mapping[str, JsonValue]) -> tuple[int, int]:
    """Return the bytes of a body without its images, and how many images it has, by their data or by a URL."""
    images: list[str] = []

    def shortened(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            if value.get("type") in _IMAGES:
                images.append("")
                return ""
            return {key: shortened(one) for key, one in value.items()}
        if isinstance(value, list):
            return [shortened(one) for one in value]
        if isinstance(value, str) and value.startswith("data:image/"):
            images.append("")
            return ""
        return value

    text = json.dumps(shortened(dict(body)), ensure_ascii=False)
    return len(text.encode("utf-8", "replace")), len(images)


def objects_in(body: Mapping[str, JsonValue]) -> Iterator[Mapping[str, JsonValue]]:
    """Yield each object in the body. Not recursive: a body can be deep."""
    waiting: list[JsonValue] = list(body.values())
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield all texts, but no data of images, sounds and files. Not recursive: a body can be deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield "" if _DATA.match(one) else one
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict) and "placeholder" not in one:
            waiting += one.values()


def _placeholder_size(value: Mapping[str, JsonValue]) -> int:
    count = value.get("bytes") if "placeholder" in value and "sha256" in value else 0
    return -(-count // 3) * 4 if isinstance(count, int) and count > 0 else 0
