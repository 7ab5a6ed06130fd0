from __future__ import annotations

import math

import numpy as np
import pytest

from rackwright.verdict.quantiles import interval_of, median_interval, quantile, ratios, times


def lone(values):
    """Make each request a separate conversation."""
    return times(values, [str(number) for number in range(len(values))])


@pytest.mark.parametrize(("share", "found"), [(0.5, 3), (0.95, 5), (0.2, 1), (0.21, 2), (0.0, 1)])
def test_a_quantile_is_the_nearest_rank(share, found):
    assert quantile(lone([5.0, 1.0, 4.0, 2.0, 3.0]), share) == found


@pytest.mark.parametrize(("count", "low", "high"), [(20, 6, 15), (50, 18, 33), (100, 40, 61)])
def test_the_interval_of_a_median_is_the_tables(count, low, high):
    # Ranks of the 95 % interval: Campbell and Gardner, British Medical Journal 296 (1988), 1454-1456.
    found = median_interval([float(rank) for rank in range(1, count + 1)], 0.95)
    assert found is not None
    assert (found.low, found.high) == (low, high)


def test_of_five_no_interval_of_a_median_can_be_told():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0], 0.95) is None


def test_halves_are_every_other_conversation_and_the_rest():
    whole = times([4.0, 1.0, 3.0, 2.0, 5.0], ["a", "b", "a", "c", "b"])
    first, second = whole.halves()
    assert (first.values.tolist(), first.clusters.tolist(), first.conversations) == ([2.0, 3.0, 4.0], [1, 0, 0], 2)
    assert (second.values.tolist(), second.clusters.tolist(), second.conversations) == ([1.0, 5.0], [0, 0], 1)


def test_the_same_times_give_the_same_resamples():
    first, second = lone([1.0, 2.0, 3.0, 4.0]), lone([2.0, 3.0, 5.0])
    assert (ratios(first, second, [0.5, 0.9], 50) == ratios(first, second, [0.5, 0.9], 50)).all()


def test_resamples_are_drawn_by_conversation_whole():
    # One conversation is slow throughout, one quick: the median is the one that was drawn more often.
    values, conversations = [1.0, 1.0, 1.0, 9.0, 9.0, 9.0], ["a", "a", "a", "b", "b", "b"]
    found = ratios(times(values, conversations), lone([1.0, 1.0]), [0.5], 400)[0]
    assert {round(math.exp(value), 6) for value in found} == {1.0, round(1 / 9, 6)}
    # Both are drawn once in half of the cases, and the nearest rank is then a quick one: 3 of 4.
    assert np.mean(found == 0) == pytest.approx(0.75, abs=0.08)


def test_resamples_in_batches_are_those_of_one(monkeypatch):
    first, second = lone([1.0, 2.0, 3.0, 4.0]), lone([2.0, 3.0, 5.0])
    whole = ratios(first, second, [0.5, 0.9], 20)
    monkeypatch.setattr("rackwright.verdict.quantiles._AT_ONCE", 7 * 3)
    batched = ratios(first, second, [0.5, 0.9], 20)
    assert batched.shape == whole.shape == (2, 20)


def test_the_interval_of_a_ratio_holds_it_and_is_stretched_around_it():
    logarithms = np.linspace(-1.0, 1.0, 2001)
    plain, wide = interval_of(1.0, logarithms, 0.95), interval_of(1.0, logarithms, 0.95, widened=2)
    assert (math.log(plain.low), math.log(plain.high)) == pytest.approx((-0.95, 0.95))
    assert (math.log(wide.low), math.log(wide.high)) == pytest.approx((-1.9, 1.9))
    assert interval_of(4.0, logarithms, 0.95).high == 4.0


def test_the_interval_of_a_ratio_of_medians_holds_the_true_one_as_often_as_it_says():
    # Conversations of four similar requests: treated as independent, 95 of 100 would be 80.
    rng, held, tries = np.random.default_rng(7), 0, 300
    for _ in range(tries):
        sides = []
        for conversations in (120, 60):
            of = np.repeat(np.arange(conversations), 4)
            spread = rng.normal(0, 0.7, conversations)[of] + rng.normal(0, 0.3, len(of))
            sides.append(times(np.exp(spread).tolist(), [str(one) for one in of]))
        estimate = quantile(sides[1], 0.5) / quantile(sides[0], 0.5)
        found = interval_of(estimate, ratios(*sides, [0.5], 300)[0], 0.95)
        held += found.low <= 1 <= found.high
    assert 0.91 <= held / tries <= 0.99
