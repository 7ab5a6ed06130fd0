"""What a request may cost at most, what it probably costs, and what an answer has cost. In the plan's currency."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer

if TYPE_CHECKING:
    from rackwright.migrate.plan.plan import Plan

LONGEST_ANSWER = 131_072
"""Tokens that an answer may have if the request sets no limit; models that reason write up to 128,000."""
USUAL_ANSWER = 400
"""Tokens of an answer if neither the record nor the request says more."""
IMAGE_TOKENS = 50_000
"""No image is charged as more, whatever its size and detail are; the bytes of an image aren't its tokens."""
USUAL_IMAGE = 1_000
UNCERTAIN = frozenset((502, 504, 520, 524))
"""Statuses of something between the client and the model that gave up: the model may have answered, and charged."""
_MILLION = 1_000_000


def most(plan: Plan, request: RecordedRequest) -> float:
    """Return what one answer may cost at most: a prompt has no more tokens than bytes."""
    size, images = _text_size(request.body)
    prompt = max(size + images * IMAGE_TOKENS, request.prompt_tokens or 0)
    return price(plan, request.model, prompt, (_limit(request.body) or LONGEST_ANSWER) * _choices(request.body))


def usual(plan: Plan, request: RecordedRequest) -> float:
    """Return what one answer probably costs: the recorded token counts, or else a guess."""
    size, images = _text_size(request.body)
    prompt = size // 4 + images * USUAL_IMAGE if request.prompt_tokens is None else request.prompt_tokens
    guess = min(_limit(request.body) or USUAL_ANSWER, USUAL_ANSWER) * _choices(request.body)
    return price(plan, request.model, prompt, request.completion_tokens or guess)


def cost(plan: Plan, request: RecordedRequest, answer: ReplayedAnswer) -> float:
    """Return what an answer has cost.

    An error of HTTP costs nothing, but for one that is UNCERTAIN. That, a request that got no answer, and one without
    token counts count as `most`: the provider may have answered it.
    """
    if answer.status not in (0, 200, *UNCERTAIN):
        return 0.0
    if answer.prompt_tokens is None or answer.completion_tokens is None:
        return most(plan, request)
    return price(plan, request.model, answer.prompt_tokens, answer.completion_tokens)


def price(plan: Plan, model: str, prompt: int, answer: int) -> float:
    """Return what so many tokens of this model cost."""
    of_model = plan.prices[model]
    return (prompt * of_model.input + answer * of_model.output) / _MILLION


def _limit(body: Mapping[str, JsonValue]) -> int:
    """Return the most tokens of one choice that the request allows, 0 if it sets no limit."""
    return max(_count(body.get("max_completion_tokens")), _count(body.get("max_tokens")))


def _choices(body: Mapping[str, JsonValue]) -> int:
    return max(1, _count(body.get("n")), _count(body.get("best_of"))) * _prompts(body.get("prompt"))


def _prompts(prompt: JsonValue) -> int:
    """Return how many prompts a completion has; a list of numbers is one, in tokens."""
    if not isinstance(prompt, list):
        return 1
    return max(1, sum(not isinstance(one, int) for one in prompt))


def _count(value: JsonValue) -> int:
    # To JSON, 3.0 is an integer.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 10**9:
        return 0
    return math.ceil(value)


def _text_size(body: Mapping[str, JsonValue]) -> tuple[int, int]:
    """Return the bytes of a body without its images, and how many images it has, by their data or by a URL."""
    images: list[str] = []

    def shortened(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            if value.get("type") in ("image_url", "input_image"):
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
