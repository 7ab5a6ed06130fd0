"""Estimate how much data would decide an open comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from rackwright.verdict.figure import Measured
from rackwright.verdict.harm import Harm, harm
from rackwright.verdict.result import Difference

_MOST = 1_000_000
_POWER = (NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)) ** 2
"""6.18: with this many pairs, four of five sides that are as good as the other one are found to be."""


def how_many(measured: Measured, found: Difference, threshold: float) -> int | None:
    """Return about how many of the candidate's conversations, or prompts, would lead to PASS or FAIL if the
    difference stayed the same. None: it is too close to the threshold to say."""
    count = measured.candidate.clusters
    if grown := measured.grown:
        return _tried(lambda times: harm(measured.figure, grown(times), threshold), count)
    return _by_the_root(harm(measured.figure, found, threshold), count)


def pairs_for(disagreeing: float, margin: float) -> int:
    """Return about how many pairs show that both sides are equally good, if this share of the pairs disagrees: Nam,
    Biometrics 53 (1997), 1422-1430."""
    return math.ceil(_POWER * disagreeing / margin**2)


def _by_the_root(found: Harm, count: int) -> int | None:
    """Estimate with an interval that narrows with the square root of the count."""
    if found.seen < found.allowed:
        half, room = found.most - found.seen, found.allowed - found.seen
    else:
        half, room = found.seen - found.least, found.seen - max(found.allowed, found.noise)
    needed = count * (half / room) ** 2 if room > 0 else math.inf
    return _rounded_up(needed) if needed <= _MOST else None


def _tried(grown: Callable[[float], Harm], count: int) -> int | None:
    """Find a count that decides by doubling, then the lowest one by bisection."""
    low = high = 1.0
    while not _decides(grown(high)):
        low, high = high, high * 2
        if high * count > _MOST:
            return None
    while high > low * 1.001:
        middle = (low + high) / 2
        low, high = (low, middle) if _decides(grown(middle)) else (middle, high)
    return _rounded_up(high * count)


def _decides(found: Harm) -> bool:
    return found.passes or found.fails


def _rounded_up(number: float) -> int:
    """Round up to two digits, because it is an estimate."""
    step: int = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / step) * step
