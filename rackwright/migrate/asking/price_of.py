"""What a request may cost at most, what it probably costs, and what an answer has cost. In the plan's currency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from rackwright.migrate.recorded_request import MOST_TOKENS, RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.request_size import answer_limit, count_in, prompt_tokens, text_and_images

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


def most(plan: Plan, request: RecordedRequest) -> float:
    """Return what one answer may cost at most: a prompt has no more tokens than bytes."""
    size, images = text_and_images(request.body)
    prompt = max(size + images * IMAGE_TOKENS, request.prompt_tokens or 0)
    limit = answer_limit(request)
    # A limit that no model has is none.
    longest = LONGEST_ANSWER if limit is None or limit == MOST_TOKENS else limit
    return price(plan, request.model, prompt, longest * _choices(request.body))


def usual(plan: Plan, request: RecordedRequest) -> float:
    """Return what one answer probably costs: the recorded token counts, or else a guess."""
    prompt = prompt_tokens(request)
    if request.prompt_tokens is None:
        prompt += text_and_images(request.body)[1] * USUAL_IMAGE
    guess = min(answer_limit(request) or USUAL_ANSWER, USUAL_ANSWER) * _choices(request.body)
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
    return float(plan.prices[model].of(prompt, answer))


def _choices(body: Mapping[str, JsonValue]) -> int:
    return max(1, count_in(body.get("n")), count_in(body.get("best_of"))) * _prompts(body.get("prompt"))


def _prompts(prompt: JsonValue) -> int:
    """Return how many prompts a completion has; a list of numbers is one, in tokens."""
    if not isinstance(prompt, list):
        return 1
    return max(1, sum(not isinstance(one, int) for one in prompt))
