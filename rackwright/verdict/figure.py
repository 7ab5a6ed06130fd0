"""One figure measured for both versions, before it is judged, and the confidence of its intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from rackwright.verdict.result import Difference, Figure, Side

ERROR = 0.05
"""Highest chance that a candidate no worse than allowed FAILs, and that a worse one PASSes."""


@dataclass(frozen=True)
class Chances:
    """How often an interval contains the true difference."""

    plain: float
    wide: float
    """For all comparisons together (Bonferroni), so that many comparisons don't make a false FAIL likely."""

    @property
    def plain_z(self) -> float:
        return NormalDist().inv_cdf((1 + self.plain) / 2)

    @property
    def wide_z(self) -> float:
        return NormalDist().inv_cdf((1 + self.wide) / 2)


def chances(comparisons: int, looks: int) -> Chances:
    """Return the chances for this many comparisons and at most this many looks at growing data.

    A PASS needs every comparison to pass, so it needs no correction for their number (Berger, Technometrics 24
    (1982), 295-300).
    """
    return Chances(1 - ERROR / looks, 1 - ERROR / (looks * max(1, comparisons)))


@dataclass(frozen=True)
class TooLittle:
    """Too little data: why there is no difference to judge."""

    why: str
    needed: int | None = None
    """How many of the candidate's conversations, or prompts, are needed."""


@dataclass(frozen=True)
class Measured:
    figure: Figure
    running: Side
    candidate: Side
    found: Difference | TooLittle
    grown: Callable[[float], Difference] | None = None
    """Estimates the difference for this many times as much data; None: intervals narrow with the square root."""
