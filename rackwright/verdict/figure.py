"""One figure measured on both sides, before it is judged; and how sure its intervals are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from rackwright.verdict.result import Difference, Figure, Side

ERROR = 0.05
"""Chance that a candidate no worse than allowed FAILs, at most; and so that a worse one PASSes."""


@dataclass(frozen=True)
class Chances:
    """How often an interval holds the true difference."""

    plain: float
    wide: float
    """For all comparisons at once (Bonferroni), so that many of them don't make a false FAIL likely."""

    @property
    def plain_z(self) -> float:
        return NormalDist().inv_cdf((1 + self.plain) / 2)

    @property
    def wide_z(self) -> float:
        return NormalDist().inv_cdf((1 + self.wide) / 2)


def chances(comparisons: int, looks: int) -> Chances:
    """Given how many comparisons are made, and how often at most on data that grow, return the chances.

    A PASS needs every comparison to pass, which multiplies nothing (Berger, Technometrics 24 (1982), 295-300).
    """
    return Chances(1 - ERROR / looks, 1 - ERROR / (looks * max(1, comparisons)))


@dataclass(frozen=True)
class TooLittle:
    """Why there is no difference to judge."""

    why: str
    needed: int | None = None
    """Conversations of the candidate, or prompts, from which there would be one."""


@dataclass(frozen=True)
class Measured:
    figure: Figure
    running: Side
    candidate: Side
    found: Difference | TooLittle
    grown: Callable[[float], Difference] | None = None
    """What would be found if there were so many times as much like this; None: intervals narrow with the root."""
