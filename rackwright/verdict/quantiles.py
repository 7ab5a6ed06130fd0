"""Ratios between the quantiles of two versions' times, with intervals from resampled conversations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rackwright.verdict.result import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

RESAMPLES = 2000
"""Fifty of these are beyond each end of a 95 % interval: its ends are accurate to a few hundredths of its width."""
_AT_ONCE = 250_000
"""Weights of 4 bytes processed together: more don't fit into the processor's cache, and take twice as long."""


@dataclass(frozen=True)
class Times:
    """One version's times in ascending order, each with the number of its conversation."""

    values: Floats
    clusters: Whole
    conversations: int

    def halves(self) -> tuple[Times, Times]:
        """Split into the times of every other conversation and the rest."""
        first, count = self.clusters % 2 == 0, self.conversations
        one = Times(self.values[first], self.clusters[first] // 2, (count + 1) // 2)
        return one, Times(self.values[~first], self.clusters[~first] // 2, count // 2)


def times(values: Sequence[float], conversations: Sequence[str]) -> Times:
    """Given each request's time and conversation, return them sorted by time."""
    import numpy as np

    numbers: dict[str, int] = {}
    clusters = np.array([numbers.setdefault(name, len(numbers)) for name in conversations], dtype=np.int64)
    plain = np.array(values, dtype=np.float64)
    order = np.argsort(plain, kind="stable")
    return Times(plain[order], clusters[order], len(numbers))


def quantile(found: Times, share: float) -> float:
    """Return the quantile by nearest rank: this share of the times doesn't exceed it. Raise IndexError for none."""
    return float(found.values[max(1, math.ceil(share * len(found.values) - 1e-9)) - 1])


def ratios(running: Times, candidate: Times, shares: Sequence[float], resamples: int) -> Floats:
    """Return, for each share, the logarithms of the candidate's quantile divided by the running version's, in
    resamples of conversations.

    A conversation is drawn as a whole, because its requests are correlated: Davison and Hinkley, Bootstrap Methods
    (1997), 3.8. The same data always give the same resamples.
    """
    import numpy as np
    from scipy import stats

    def logarithms(first: Whole, second: Whole, axis: int = -1) -> Floats:
        del axis
        return np.log(_quantiles(candidate, second, shares)) - np.log(_quantiles(running, first, shares))

    found = stats.bootstrap(
        (np.arange(running.conversations), np.arange(candidate.conversations)),
        logarithms,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // (len(running.values) + len(candidate.values))),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(20261127),
    )
    return np.asarray(found.bootstrap_distribution, dtype=np.float64)


def _quantiles(found: Times, drawn: Whole, shares: Sequence[float]) -> Floats:
    """Given drawn conversations (one row per resample), return the quantiles (one row per share)."""
    import numpy as np

    rows = np.arange(len(drawn))[:, None] * found.conversations
    counts = np.bincount((rows + drawn).ravel(), minlength=len(drawn) * found.conversations)
    each = counts.astype(np.int32).reshape(len(drawn), found.conversations)
    seen = each[:, found.clusters].cumsum(axis=1, dtype=np.int32)
    wanted = [np.ceil(share * seen[:, -1:] - 1e-9) for share in shares]
    return np.array([found.values[(seen >= least).argmax(axis=1)] for least in wanted])


def interval_of(estimate: float, logarithms: Floats, chance: float, *, widened: float = 1.0) -> Interval:
    """Given the resamples of a ratio, return its percentile interval with this chance, as a ratio.

    `widened` stretches it around the estimate, because a few thousand resamples have too few values in the far tails.
    """
    import numpy as np

    middle, tail = math.log(estimate), (1 - chance) / 2
    ends = (float(end) for end in np.quantile(logarithms, (tail, 1 - tail)))
    low, high = (math.exp(middle + widened * (end - middle)) for end in ends)
    return Interval(min(low, estimate), max(high, estimate))


def students_z(chance: float, freedom: float) -> float:
    """Return the half-width in standard errors of an interval whose standard error is estimated from few values:
    Student, Biometrika 6 (1908), 1-25. Resamples of few conversations vary too little to account for that."""
    from scipy import special

    return float(special.stdtrit(freedom, (1 + chance) / 2))


def median_interval(ratios: Sequence[float], chance: float) -> Interval | None:
    """Return the interval of the median of such ratios, for any distribution; None if there are too few."""
    ranks, ordered = _ranks(len(ratios), chance), sorted(ratios)
    return Interval(ordered[ranks[0] - 1], ordered[ranks[1] - 1]) if ranks else None


@cache
def _ranks(count: int, chance: float) -> tuple[int, int] | None:
    """Return the two ranks (from 1) among `count` values that the median is between: Conover, Practical Nonparametric
    Statistics, 3.2."""
    from scipy import stats

    # scipy's type stubs declare a number here, but it is a pair.
    found: object = stats.quantile_test(range(1, count + 1), p=0.5).confidence_interval(chance)
    low, high = (float(end) for end in found) if isinstance(found, tuple) else (math.nan, math.nan)
    return (int(low), int(high)) if math.isfinite(low) and math.isfinite(high) else None
