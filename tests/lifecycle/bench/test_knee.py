from __future__ import annotations

from collections.abc import Callable

import pytest

from rackwright.lifecycle.bench.knee import CLOSE, MOST_STEPS, Search, behind, search
from rackwright.state.bench import Step
from tests.lifecycle.bench.steps import spread, step


def content(_: Step) -> str | None:
    return None


def slow_above(rate: float) -> Callable[[Step], str | None]:
    return lambda step: f"ttft_p95 is long at {step.rate:g}" if step.rate > rate else None


def ended(
    judge: Callable[[Step], str | None], measured: Callable[[float], Step] = step
) -> tuple[Search, list[float]]:
    """Search to the end; return the result and the rates that were tried."""
    steps = [measured(1)]
    while (state := search(steps, judge)).next_rate:
        steps.append(measured(state.next_rate))
    return state, [step.rate for step in steps]


def test_the_rate_doubles_while_it_is_good():
    assert search([step(1), step(2)], content) == Search(step(2), 4, "")


@pytest.mark.parametrize("limit", [1.1, 3, 7.9, 40])
def test_the_knee_is_just_below_the_rate_at_which_an_objective_is_missed(limit):
    found, rates = ended(slow_above(limit))
    assert found.knee is not None
    assert limit / CLOSE <= found.knee.rate <= limit
    assert found.why == f"at {min(rate for rate in rates if rate > limit):g} per second, ttft_p95 is long at " + (
        f"{min(rate for rate in rates if rate > limit):g}"
    )
    assert len(rates) < MOST_STEPS


def test_the_knee_is_where_throughput_no_longer_grows():
    found, _ = ended(content, lambda rate: step(rate, per_second=min(rate, 5)))
    assert found.knee is not None
    assert 4 <= found.knee.rate <= 5 / 0.8
    assert "throughput no longer grew" in found.why or "fell behind" in found.why


def test_a_rate_that_brings_no_more_is_bad_though_it_was_nearly_kept_up_with():
    found = search([step(4), step(4.75, per_second=4), step(8, per_second=4)], content)
    assert (found.knee, found.next_rate) == (step(4), None)
    assert found.why == "at 4.75 per second, throughput no longer grew: 4.00 after 4.00"


def test_without_a_good_rate_there_is_no_knee():
    assert search([step(1)], slow_above(0.5)) == Search(None, None, "already at 1 per second, ttft_p95 is long at 1")


def test_a_first_rate_that_the_service_falls_behind_is_no_knee():
    found = search([step(1, per_second=0.31)], content)
    assert (found.knee, found.next_rate) == (None, None)
    assert found.why == "already at 1 per second, the service fell behind: it answered 0.31 of 1.00 per second"


def test_it_ends_however_good_the_service_is():
    found, rates = ended(content)
    assert len(rates) == MOST_STEPS
    assert found.knee is not None
    assert (found.knee.rate, found.why) == (2 ** (MOST_STEPS - 1), f"{MOST_STEPS} rates were tried, all of them good")


@pytest.mark.parametrize(("good", "bad", "between"), [(1, 2, 1.414), (0.0001, 0.0003, 0.0001732), (1000, 3000, 1732)])
def test_rates_between_have_four_digits_however_small(good, bad, between):
    assert search([step(good), step(bad, per_second=good / 2)], content).next_rate == between


def test_a_search_that_took_too_long_says_where_it_stands():
    steps = [step(2**number) for number in range(MOST_STEPS - 1)]
    found = search([*steps, step(4096, per_second=1)], content)
    assert (found.knee, found.next_rate) == (steps[-1], None)
    assert found.why.startswith("at 4096 per second, the service fell behind")


def test_a_good_step_above_a_bad_one_is_chance():
    assert search([step(1), step(2, per_second=1), step(4)], content).knee == step(1)


def test_a_short_run_of_long_answers_is_not_called_behind():
    """Ten requests in ten seconds, and each answer takes ten seconds: the last one arrives after nineteen."""
    kept_up = step(1, requests=10, per_second=10 / 19, latency=10)
    assert behind(kept_up) is None
    assert behind(kept_up.model_copy(update={"latency": spread(10, least=1)})) is not None


def test_where_nothing_is_answered_nothing_was_kept_up():
    silent = step(1, answered=0, per_second=0, latency=1).model_copy(update={"latency": None})
    assert behind(silent) == "nothing was answered"
