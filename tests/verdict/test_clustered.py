"""Shares of requests in conversations: exact limits where whole conversations fail or pass, and never too narrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.verdict.clustered import Clustered


def alike(hits: int, conversations: int, each: int = 1) -> Clustered:
    return Clustered(tuple(each * (number < hits) for number in range(conversations)), (each,) * conversations)


@pytest.mark.parametrize("each", [1, 50])
@pytest.mark.parametrize(
    ("hits", "conversations", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0000, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_conversations_that_are_hits_as_a_whole_have_the_exact_limits_of_their_count(
    hits, conversations, each, low, high
):
    # Newcombe, Statistics in Medicine 17 (1998), 857-872, Table I, method 5: Clopper and Pearson's.
    found = alike(hits, conversations, each).interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_what_all_conversations_have_none_or_all_of_has_an_open_end():
    assert alike(0, 30).interval(0.9).low == 0
    assert alike(30, 30).interval(0.9).high == 1


def test_parts_of_conversations_weigh_as_parts():
    """Stringer's own sum: each limit's step times the part, largest part first, and one whole unseen conversation."""
    found = Clustered((5, 2, *(0,) * 98), (10,) * 100).interval(0.95).high
    none, one, two = (alike(hits, 100).interval(0.95).high for hits in (0, 1, 2))
    assert found == pytest.approx(none + 0.5 * (one - none) + 0.2 * (two - one))


def test_so_many_times_as_many_is_what_so_many_more_give():
    once, thrice = Clustered((1, 3, 0, 0), (4, 4, 4, 4)), Clustered((1, 3, 0, 0) * 3, (4, 4, 4, 4) * 3)
    more, found = once.interval(0.95, times=3.0), thrice.interval(0.95)
    assert (more.low, more.high) == pytest.approx((found.low, found.high))


def test_an_unseen_conversation_is_as_long_as_a_request_s_is():
    unlike = Clustered((0,) * 100, (1,) * 50 + (3,) * 50)
    # A request is in a conversation of (50 * 1 + 50 * 9) / 200 = 2.5 on average, and the mean is 2.
    assert unlike.interval(0.95).high == pytest.approx(2.5 / 2 * alike(0, 100).interval(0.95).high)


counts = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 20)), min_size=1, max_size=60)


@given(counts, st.floats(0.5, 0.99))
def test_every_interval_holds_what_was_seen_and_widens(found, chance):
    side = Clustered(tuple(min(hit, tried) for hit, tried in found), tuple(tried for _, tried in found))
    near, far = side.interval(chance), side.interval(1 - (1 - chance) / 10)
    assert 0 <= far.low <= near.low <= side.share.value + 1e-9
    assert side.share.value - 1e-9 <= near.high <= far.high <= 1


@pytest.mark.parametrize("kind", ["whole", "longer ones rather", "half of it"])
def test_the_upper_limit_lies_below_the_truth_no_more_often_than_it_says(kind):
    """Conversations of 1 to 20 requests; 1.2 % of requests fail."""
    rng, missed, tries = np.random.default_rng(3), 0, 400
    for _ in range(tries):
        tried = rng.geometric(1 / 3, 600)
        # For geometric lengths with the mean 3, the square's mean is 15.
        chance = 0.012 * {"whole": 1, "longer ones rather": tried * 3 / 15, "half of it": 2}[kind]
        failed = np.where(rng.random(600) < chance, tried if kind != "half of it" else rng.binomial(tried, 0.5), 0)
        missed += Clustered(tuple(failed.tolist()), tuple(tried.tolist())).interval(0.95).high < 0.012
    assert missed / tries <= 0.025
