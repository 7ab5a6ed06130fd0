"""How many requests in an hour the cloud may answer, by recorded requests and the plan's prices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.cutover.fallback_cap import MOST, cap_of, falls_of, inputs_of
from rackwright.migrate.plan.cutover import Cutover, FallbackRules
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.prices import Price
from rackwright.migrate.recorded_request import RecordedRequest

CHEAP = Price(input=1, output=10)
DEAR = Price(input=100, output=1000)
NONE = AnswerLengths()


def plan(*models: str, cost: float = 1, price: Price = DEAR) -> Plan:
    rules = FallbackRules(cost_per_hour=cost, models=models or None)
    return Plan.model_construct(
        models={"mini": "assistant", "large": "assistant"},
        prices={"mini": CHEAP, "large": price},
        currency="EUR",
        cutover=Cutover(fallback=rules),
    )


def requests(model: str, answers: list[int | None], prompt: int = 0) -> Iterator[RecordedRequest]:
    for number, tokens in enumerate(answers):
        yield RecordedRequest(
            id=f"{model}{number}",
            path="/v1/chat/completions",
            model=model,
            body={"max_tokens": 100},
            origin="jsonl",
            prompt_tokens=prompt,
            completion_tokens=tokens,
        )


def test_the_money_pays_for_so_many_requests_as_all_but_the_longest_twentieth_cost() -> None:
    # Answers of 1 to 100 tokens: 95 tokens cost 0.00095.
    cap, missing = cap_of(plan("mini"), requests("mini", [*range(1, 101)]), NONE)
    assert cap
    assert (cap.each, cap.per_hour, cap.requests, missing) == (pytest.approx(0.00095), 1052, 100, ())
    assert falls_of(cap) == {"mini": 1052}


def test_all_models_of_the_plan_may_fall_back_and_the_most_expensive_one_counts() -> None:
    """Those that fall back may all be for that one."""
    asked = [*requests("mini", [10] * 500), *requests("large", [10] * 20)]
    cap, _ = cap_of(plan(), asked, NONE)
    assert cap
    assert (cap.models, cap.each, cap.per_hour) == (("large", "mini"), pytest.approx(0.01), 100)


def test_answers_that_nobody_counted_are_guessed_only_if_too_few_were() -> None:
    few, enough = [5] * 19, [5] * 20
    unknown: list[int | None] = [None] * 60
    guessed, _ = cap_of(plan("mini"), requests("mini", [*few, *unknown]), NONE)
    counted, _ = cap_of(plan("mini"), requests("mini", [*enough, *unknown]), NONE)
    assert guessed
    assert counted
    # The request's own limit of 100 tokens is the guess.
    assert (guessed.each, guessed.requests) == (pytest.approx(0.001), 79)
    assert (counted.each, counted.requests) == (pytest.approx(0.00005), 20)
    replayed = AnswerLengths(of={f"mini{number}": 50 for number in range(60)})
    again, _ = cap_of(plan("mini"), requests("mini", unknown), replayed)
    assert again
    assert again.each == pytest.approx(0.0005)


def test_a_model_of_which_no_request_was_recorded_has_no_price() -> None:
    assert cap_of(plan(), requests("mini", [1]), NONE) == (None, ("large",))


def test_too_little_money_pays_for_none_and_a_free_model_has_a_limit_too() -> None:
    poor, _ = cap_of(plan("large", cost=0.01), requests("large", [100] * 20), NONE)
    free, _ = cap_of(plan("large", price=Price(input=0, output=0)), requests("large", [100]), NONE)
    assert poor
    assert free
    assert (poor.per_hour, free.per_hour) == (0, MOST)


def test_only_what_it_depends_on_changes_its_inputs() -> None:
    same = inputs_of(plan("mini"))
    assert inputs_of(plan("mini", price=CHEAP)) == same
    others = (plan("large"), plan(), plan("mini", cost=2), plan("mini").model_copy(update={"currency": "USD"}))
    assert same not in {inputs_of(other) for other in others}
