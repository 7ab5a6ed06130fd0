"""Each formula gives what its paper gives."""

from __future__ import annotations

from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.verdict import Interval
from rackwright.verdict.proportions import (
    PairedShares,
    Share,
    difference,
    paired_difference,
    wilson,
)

Z95 = NormalDist().inv_cdf(0.975)


def unpaired(first: Share, second: Share, z: float) -> Interval:
    return difference(first.value, wilson(first, z), second.value, wilson(second, z))


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_newcombes_table_1(hits, tries, low, high):
    # Newcombe, Statistics in Medicine 17 (1998), 857-872, Table I, method 3.
    found = wilson(Share(hits, tries), Z95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("more", "less", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)],
)
def test_the_difference_is_newcombes(more, less, low, high):
    # Newcombe, Statistics in Medicine 17 (1998), 873-890, Table II, contrasts (a) and (b), method 10.
    found = unpaired(Share(*less), Share(*more), Z95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((0, 30, 0, 0), 0.8395, 1.0),
    ],
)
def test_the_paired_difference_is_newcombes(table, low, high):
    # Newcombe, Statistics in Medicine 17 (1998), 2635-2650, examples of method 10; his difference is first - second.
    both, first_only, second_only, neither = table
    found = paired_difference(PairedShares(both, second_only, first_only, neither), Z95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.floats(1, 5))
def test_every_interval_holds_what_was_seen_and_widens(both, first, second, neither, z):
    table = PairedShares(both, first, second, neither + 1)
    seen = table.second.value - table.first.value
    for interval in (paired_difference, lambda pairs, z: unpaired(pairs.first, pairs.second, z)):
        near, far = interval(table, z), interval(table, z * 1.5)
        assert far.low <= near.low <= seen + 1e-9
        assert seen - 1e-9 <= near.high <= far.high
