"""Differences between shares, with intervals that are valid for few hits and for none; each tested against its paper.

Positive differences are the second side's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rackwright.verdict.result import Interval


@dataclass(frozen=True)
class Share:
    """Hits among tries."""

    hits: int
    tries: int

    @property
    def value(self) -> float:
        return self.hits / self.tries


@dataclass(frozen=True)
class PairedShares:
    """Hits and misses of the same things, each tried twice."""

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
    """Return the score interval: Wilson, JASA 22 (1927), 209-212. `z`: its half-width in standard errors."""
    squared = z * z
    middle = share.hits + squared / 2
    half = z * math.sqrt(share.hits * (share.tries - share.hits) / share.tries + squared / 4)
    whole = share.tries + squared
    return Interval(max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole))


def difference(first: float, one: Interval, second: float, other: Interval, correlation: float = 0.0) -> Interval:
    """Return the interval of second - first, given the interval of each (`one`, `other`).

    Distances to each side are squared and added: Zou and Donner, Statistics in Medicine 27 (2008), 1693-1702.
    """
    down = _joined(second - other.low, one.high - first, correlation)
    up = _joined(other.high - second, first - one.low, correlation)
    between = second - first
    return Interval(max(-1.0, between - down), min(1.0, between + up))


def paired_difference(pairs: PairedShares, z: float) -> Interval:
    """Return the interval of second - first: Newcombe, Statistics in Medicine 17 (1998), 2635-2650, method 10."""
    first, second = pairs.first, pairs.second
    return difference(first.value, wilson(first, z), second.value, wilson(second, z), _correlation(pairs))


def _joined(one: float, other: float, correlation: float) -> float:
    # Rounding may give a value slightly below zero if both are equal and fully correlated.
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def _correlation(pairs: PairedShares) -> float:
    """Return phi of the table, corrected for continuity if it is above zero, as in the paper."""
    margins = (pairs.both + pairs.first_only) * (pairs.second_only + pairs.neither)
    margins *= (pairs.both + pairs.second_only) * (pairs.first_only + pairs.neither)
    if not margins:
        return 0.0
    product = pairs.both * pairs.neither - pairs.first_only * pairs.second_only
    corrected = max(product - pairs.tries / 2, 0) if product > 0 else product
    return corrected / math.sqrt(margins)
