"""Compare the shares of hits of the same things, each tried by both sides."""

from __future__ import annotations

import math
from collections.abc import Callable

from rackwright.verdict.figure import Chances
from rackwright.verdict.proportions import PairedShares, Share, paired_difference, wilson
from rackwright.verdict.result import Difference


def changed(found: PairedShares, at: Chances, noise: float | None = None) -> Difference:
    """Return by how much the share of hits differs: second - first. There must be at least one try."""
    return Difference(
        estimate=found.second.value - found.first.value,
        interval=paired_difference(found, at.plain_z),
        wide=paired_difference(found, at.wide_z),
        noise=noise,
    )


def growing(found: PairedShares, at: Chances) -> Callable[[float], Difference]:
    """Return a function that estimates the difference for this many times as many tries with the same shares.

    A score interval of `times` times as many tries is that of these with a `z` that is smaller by the square root.
    """

    def grown(times: float) -> Difference:
        plain, wide = (paired_difference(found, z / math.sqrt(times)) for z in (at.plain_z, at.wide_z))
        return Difference(found.second.value - found.first.value, plain, wide, noise=None)

    return grown


def is_blind(first: Share, at: Chances, allowed: float) -> bool:
    """Return whether the second side could miss everything that the first one hits and still be within the allowed
    fall.

    A share can't fall below 0. If the first side's share may be smaller than the allowed fall, these tries can't show
    that the second side is too bad, and therefore not that it is good either.
    """
    return wilson(first, at.plain_z).low <= allowed
