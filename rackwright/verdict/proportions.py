"""Differences between shares, with intervals that hold for few and for none; each checked against its paper.

Positive differences are the second side's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.verdict.result import Interval


@dataclass(frozen=True)
class Share:
    """Hits among tries; of clustered ones the counts that as many independent ones would have."""

    hits: float
    tries: float

    @property
    def value(self) -> float:
        return self.hits / self.tries


@dataclass(frozen=True)
class PairedShares:
    """What became of the same things, tried twice."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def tries(self) -> int:
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def first(self) -> Share:
        return Share(self.both + self.first_only, self.tries)

    @property
    def second(self) -> Share:
        return Share(self.both + self.second_only, self.tries)


def wilson(share: Share, z: float) -> Interval:
    """Return the score interval: Wilson, JASA 22 (1927), 209-212. `z`: how many standard errors wide to each side."""
    squared = z * z
    middle = share.hits + squared / 2
    half = z * math.sqrt(share.hits * (share.tries - share.hits) / share.tries + squared / 4)
    whole = share.tries + squared
    return Interval(max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole))


def difference(first: Share, second: Share, z: float) -> Interval:
    """Return where second - first lies: Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10."""
    return _square_and_add(first, second, 0.0, z)


def paired_difference(pairs: PairedShares, z: float) -> Interval:
    """Return where second - first lies: Newcombe, Statistics in Medicine 17 (1998), 2635-2650, method 10."""
    return _square_and_add(pairs.first, pairs.second, _correlation(pairs), z)


def _square_and_add(first: Share, second: Share, correlation: float, z: float) -> Interval:
    one, other = wilson(first, z), wilson(second, z)
    down = _joined(second.value - other.low, one.high - first.value, correlation)
    up = _joined(other.high - second.value, first.value - one.low, correlation)
    between = second.value - first.value
    return Interval(max(-1.0, between - down), min(1.0, between + up))


def _joined(one: float, other: float, correlation: float) -> float:
    # Rounding may leave a trace below zero where both are alike and fully correlated.
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def _correlation(pairs: PairedShares) -> float:
    """Phi of the table, corrected for continuity where it is above zero, as the paper has it."""
    margins = (pairs.both + pairs.first_only) * (pairs.second_only + pairs.neither)
    margins *= (pairs.both + pairs.second_only) * (pairs.first_only + pairs.neither)
    if not margins:
        return 0.0
    product = pairs.both * pairs.neither - pairs.first_only * pairs.second_only
    corrected = max(product - pairs.tries / 2, 0) if product > 0 else product
    return corrected / math.sqrt(margins)


def design_effect(hits: Sequence[int], tries: Sequence[int]) -> float | None:
    """Given hits and tries of each cluster, return how many times the share's variance is that of independent tries.

    At least 1: Rao and Scott, Biometrics 48 (1992), 577-585. None: it can't be told, of one cluster, or where none or
    all were hits.
    """
    clusters, count = len(tries), sum(tries)
    share = sum(hits) / count if count else 0.0
    if clusters < 2 or not 0 < share < 1:
        return None
    residuals = sum((hit - tried * share) ** 2 for hit, tried in zip(hits, tries, strict=True))
    variance = clusters / (clusters - 1) * residuals / count**2
    return max(1.0, count * variance / (share * (1 - share)))
