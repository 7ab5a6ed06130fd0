"""A share of requests in conversations, with an interval that is valid for any correlation within these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rackwright.verdict.proportions import Share
from rackwright.verdict.result import Interval


@dataclass(frozen=True)
class Clustered:
    """For each conversation, how many requests it had, and how many of them are hits."""

    hits: tuple[int, ...]
    tries: tuple[int, ...]

    @property
    def share(self) -> Share:
        """Share of requests that are hits."""
        return Share(sum(self.hits), sum(self.tries))

    def halves(self) -> tuple[Clustered, Clustered]:
        """Split into every other conversation and the rest."""
        one, other = (Clustered(self.hits[half::2], self.tries[half::2]) for half in (0, 1))
        return one, other

    def interval(self, chance: float, times: float = 1.0) -> Interval:
        """Return the interval of the share with this chance, if there were `times` times as many conversations.

        The upper end is Stringer's bound (Proceedings of the Business and Economic Statistics Section, ASA, 1963,
        405-411; Bickel, International Statistical Review 60 (1992), 197-209), the lower one its mirror image.
        Auditors use it for this very case: few errors or none, each in a part of its unit. It counts conversations by
        exact binomial limits, so it needs no estimate of the correlation of requests, which can't be had from few
        hits. It is conservative in practice, and proven to be so for many units (Pap and van Zuijlen, Statistica
        Neerlandica 50 (1996), 367-389). Without any hits, it is the binomial limit for conversations in which every
        request is a hit.
        """
        mean = sum(self.tries) / len(self.tries)
        parts = sorted((hit / mean for hit in self.hits if hit), reverse=True)
        return _of_mean(parts, max([self._unseen / mean, *parts[:1]]), len(self.tries) * times, times, chance)

    @property
    def _unseen(self) -> float:
        """Mean length of the conversation that a random request belongs to. An unseen conversation full of hits is
        assumed to be this long, because a longer one has more chances to be hit (Kish, Survey Sampling (1965))."""
        return sum(tried * tried for tried in self.tries) / sum(self.tries)


def _of_mean(parts: Sequence[float], most: float, count: float, each: float, chance: float) -> Interval:
    """Return the interval of the mean of `count` values from 0 to `most`; `parts`: those above 0, in descending
    order.

    The mean is a sum of layers: each drop between two values, times the share of values that reach above it. That
    share has exact limits: Clopper and Pearson, Biometrika 26 (1934), 404-413. `each`: how often each value occurs.
    """
    import numpy as np
    from scipy import special

    drops = np.array([upper - lower for upper, lower in pairwise([most, *parts, 0.0])])
    reach, tail = np.arange(len(drops)) * each, (1 - chance) / 2
    # If no value reaches the layer, the lower limit is 0; if all do, the upper limit is 1.
    low = np.where(reach > 0, special.betaincinv(np.maximum(reach, 1), count - reach + 1, tail), 0)
    high = np.where(reach < count, special.betaincinv(reach + 1, np.maximum(count - reach, 1), 1 - tail), 1)
    return Interval(float(drops @ low), min(1.0, float(drops @ high)))
