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
"""At the ends of a 95 % interval fifty of them lie beyond: the ends are known to a few hundredths of its width."""
_AT_ONCE = 250_000
"""Weights of 4 bytes that are worked on together: more leave the processor's cache, and take twice as long."""


@dataclass(frozen=True)
class Times:
    """One version's times in ascending order, each with the number of its conversation."""

    values: Floats
    clusters: Whole
    conversations: int

    def halves(self) -> tuple[Times, Times]:
        """Return these of every other conversation, and the rest."""
        first, count = self.clusters % 2 == 0, self.conversations
        one = Times(self.values[first], self.clusters[first] // 2, (count + 1) // 2)
        return one, Times(self.values[~first], self.clusters[~first] // 2, count // 2)


def times(values: Sequence[float], conversations: Sequence[str]) -> Times:
    """Given a time and a conversation of each request, return them in the order of times."""
    import numpy as np

    numbers: dict[str, int] = {}
    clusters = np.array([numbers.setdefault(name, len(numbers)) for name in conversations], dtype=np.int64)
    plain = np.array(values, dtype=np.float64)
    order = np.argsort(plain, kind="stable")
    return Times(plain[order], clusters[order], len(numbers))


def quantile(found: Times, share: float) -> float:
    """Return the time that this share doesn't exceed, by nearest rank. Raise IndexError for none."""
    return float(found.values[max(1, math.ceil(share * len(found.values) - 1e-9)) - 1])


def ratios(running: Times, candidate: Times, shares: Sequence[float], resamples: int) -> Floats:
    """Return, for each share, the logarithms of candidate's quantile over running's in resamples of conversations.

    A conversation is drawn whole, since its requests are alike: Davison and Hinkley, Bootstrap Methods (1997), 3.8.
    The same data always give the same resamples.
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
    """Given conversations drawn (a row for each resample), return the quantiles: a row for each share."""
    import numpy as np

    rows = np.arange(len(drawn))[:, None] * found.conversations
    counts = np.bincount((rows + drawn).ravel(), minlength=len(drawn) * found.conversations)
    each = counts.astype(np.int32).reshape(len(drawn), found.conversations)
    seen = each[:, found.clusters].cumsum(axis=1, dtype=np.int32)
    wanted = [np.ceil(share * seen[:, -1:] - 1e-9) for share in shares]
    return np.array([found.values[(seen >= least).argmax(axis=1)] for least in wanted])


def interval_of(estimate: float, logarithms: Floats, chance: float, *, widened: float = 1.0) -> Interval:
    """Given the resamples of a ratio, return where it lies with this chance (percentiles), as a ratio.

    `widened` stretches it around the estimate: the far tails of a few thousand resamples are too thin to be counted.
    """
    import numpy as np

    middle, tail = math.log(estimate), (1 - chance) / 2
    ends = (float(end) for end in np.quantile(logarithms, (tail, 1 - tail)))
    low, high = (math.exp(middle + widened * (end - middle)) for end in ends)
    return Interval(min(low, estimate), max(high, estimate))


def students_z(chance: float, freedom: float) -> float:
    """Return how many standard errors an interval has to each side that is itself known from few: Student, Biometrika
    6 (1908), 1-25. Resamples of few conversations spread too little, and so do not make up for that."""
    from scipy import special

    return float(special.stdtrit(freedom, (1 + chance) / 2))


def median_interval(ratios: Sequence[float], chance: float) -> Interval | None:
    """Return where the median of such ratios lies, whatever their distribution; None: there are too few."""
    ranks, ordered = _ranks(len(ratios), chance), sorted(ratios)
    return Interval(ordered[ranks[0] - 1], ordered[ranks[1] - 1]) if ranks else None


@cache
def _ranks(count: int, chance: float) -> tuple[int, int] | None:
    """Return between which two of so many, by rank from 1, the median lies: Conover, Practical Nonparametric
    Statistics, 3.2."""
    from scipy import stats

    # Its stubs have a number here; it is a pair.
    found: object = stats.quantile_test(range(1, count + 1), p=0.5).confidence_interval(chance)
    low, high = (float(end) for end in found) if isinstance(found, tuple) else (math.nan, math.nan)
    return (int(low), int(high)) if math.isfinite(low) and math.isfinite(high) else None
