"""How many requests in an hour the cloud may answer in the fleet's place, by the plan's money and prices. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from rackwright.migrate.asking.price_of import usual
from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.values.base import Stored

LEAST = 20
"""So many requests with a counted answer are enough; those whose answer nobody counted are left out then."""
MOST = 1_000_000
"""Requests in an hour."""
PERCENTILE = 0.95


class FallbackCap(Stored):
    """What a plan allows in a clock hour, over all gateways."""

    per_hour: int
    """Requests; 0: not even one may be paid for."""
    each: float
    """What one is taken to cost: the 95th percentile of recorded requests for the most expensive model."""
    requests: int
    """How many recorded requests that is based on."""
    cost_per_hour: float
    currency: str
    models: tuple[str, ...]
    """The provider's models that may fall back."""
    inputs: str
    """Names the plan's values that it was computed from."""


@dataclass
class _Prices:
    """What recorded requests for one model cost."""

    counted: list[float] = field(default_factory=list)
    guessed: list[float] = field(default_factory=list)
    """Of those whose answer nobody counted."""

    @property
    def best(self) -> list[float]:
        return self.counted if len(self.counted) >= LEAST else self.counted + self.guessed


def fallback_models(plan: Plan) -> tuple[str, ...]:
    """Return the provider's models that may fall back."""
    rules = plan.cutover.fallback
    return tuple(sorted(rules.models or plan.models)) if rules else ()


def inputs_of(plan: Plan) -> str:
    """Return what names the plan's values that a cap depends on."""
    rules, models = plan.cutover.fallback, fallback_models(plan)
    values = [
        rules.cost_per_hour if rules else 0,
        plan.currency,
        [(name, plan.prices[name].model_dump()) for name in models],
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def cap_of(
    plan: Plan, requests: Iterable[RecordedRequest], answers: AnswerLengths
) -> tuple[FallbackCap | None, tuple[str, ...]]:
    """Return the cap, and the models of which no request was recorded; without a cap if there are any.

    `answers`: what replays say about answers that weren't counted when they were recorded. The plan has a fallback.
    """
    models = fallback_models(plan)
    found = {name: _Prices() for name in models}
    for request in requests:
        if request.model in found:
            _add(found[request.model], plan, request, answers)
    missing = tuple(name for name in models if not found[name].best)
    rules = plan.cutover.fallback
    if missing or rules is None:
        return None, missing
    each = max(_percentile(one.best) for one in found.values())
    cap = FallbackCap(
        per_hour=min(MOST, int(rules.cost_per_hour / each)) if each else MOST,
        each=each,
        requests=sum(len(one.best) for one in found.values()),
        cost_per_hour=rules.cost_per_hour,
        currency=plan.currency,
        models=models,
        inputs=inputs_of(plan),
    )
    return cap, ()


def falls_of(cap: FallbackCap | None) -> Mapping[str, int]:
    """Return the provider's model → the requests in an hour."""
    return dict.fromkeys(cap.models, cap.per_hour) if cap else {}


def _add(prices: _Prices, plan: Plan, request: RecordedRequest, answers: AnswerLengths) -> None:
    tokens = answers.of.get(request.id, request.completion_tokens)
    price = usual(plan, request.model_copy(update={"completion_tokens": tokens}))
    (prices.guessed if tokens is None else prices.counted).append(price)


def _percentile(prices: list[float]) -> float:
    return sorted(prices)[ceil(PERCENTILE * len(prices)) - 1]
