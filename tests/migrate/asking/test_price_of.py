"""What a request may cost, probably costs, and has cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rackwright.migrate.asking.price_of import LONGEST_ANSWER, cost, most, usual
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.lifecycle.migrate.ends import plan_of, request

PLAN = plan_of()
"""gpt-4o-mini: 1 per million tokens of a prompt, 10 of an answer."""


def answer(status: int = 200, prompt: int | None = 7, completion: int | None = 3) -> ReplayedAnswer:
    return ReplayedAnswer(
        request="r1", asked="cloud", status=status, prompt_tokens=prompt, completion_tokens=completion
    )


def test_an_answer_costs_its_tokens() -> None:
    assert cost(PLAN, request(1), answer()) == pytest.approx(37e-6)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_costs_nothing(status: int) -> None:
    assert cost(PLAN, request(1), answer(status)) == 0


@pytest.mark.parametrize(
    "unknown",
    [
        answer(0, None, None),
        answer(prompt=None),
        answer(completion=None),
        # A gateway or proxy gave up, and the model may have gone on.
        *(answer(status, None, None) for status in (502, 504, 520, 524)),
    ],
)
def test_what_is_unknown_costs_the_most(unknown: ReplayedAnswer) -> None:
    assert cost(PLAN, request(1), unknown) == most(PLAN, request(1))


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 5, "n": 3}, 15),
        ({"max_tokens": 5, "best_of": 4}, 20),
        ({"max_tokens": None}, LONGEST_ANSWER),
        ({"max_tokens": "many"}, LONGEST_ANSWER),
        ({"max_tokens": -1}, LONGEST_ANSWER),
        ({"max_tokens": True}, LONGEST_ANSWER),
        ({"max_tokens": 10**25}, LONGEST_ANSWER),
        ({"max_output_tokens": 5, "max_tokens": None}, LONGEST_ANSWER),
        ({"max_tokens": 5, "n": 3.0}, 15),
        ({"max_tokens": 5, "prompt": ["a", "b"], "n": 2}, 20),
        ({"max_tokens": 5, "prompt": [[1, 2], [3]]}, 10),
        ({"max_tokens": 5, "prompt": [1, 2, 3]}, 5),
    ],
)
def test_the_most_by_the_limits_of_a_request(body: dict[str, Any], tokens: int) -> None:
    asked = request(1, **body)
    size = len(json.dumps(dict(asked.body)))
    assert most(PLAN, asked) == pytest.approx((size + 10 * tokens) / 1e6)


def test_an_image_counts_by_its_tokens() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}}
    asked = request(1, messages=[{"role": "user", "content": [image]}])
    assert most(PLAN, asked) < 0.1
    assert usual(PLAN, asked) < most(PLAN, asked)


def test_an_image_by_its_address_counts_as_the_most_that_a_provider_charges() -> None:
    """At gpt-4o-mini, eight tiles have 2,833 + 8 x 5,667 tokens, and the address of the image is a few bytes."""
    for part in ({"type": "image_url", "image_url": {"url": "https://a/b.png"}}, {"type": "input_image"}):
        asked = request(1, messages=[{"role": "user", "content": [part]}])
        assert most(PLAN, asked) * 1e6 >= 2833 + 8 * 5667


def test_a_model_that_reasons_may_write_all_that_it_can() -> None:
    assert most(PLAN, request(1, max_tokens=None)) * 1e6 >= 10 * 128_000


def test_the_usual_goes_by_the_record() -> None:
    recorded = request(1).model_copy(update={"prompt_tokens": 1000, "completion_tokens": 50})
    assert usual(PLAN, recorded) == pytest.approx(1500e-6)
    assert usual(PLAN, request(1)) < most(PLAN, request(1))
