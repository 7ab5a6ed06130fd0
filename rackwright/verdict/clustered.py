"""A share of requests that come in conversations, with an interval that holds however alike those of one are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rackwright.verdict.proportions import Share
from rackwright.verdict.result import Interval


@dataclass(frozen=True)
class Clustered:
    """Of each conversation how many requests it had, and how many of them are hits."""

    hits: tuple[int, ...]
    tries: tuple[int, ...]

    @property
    def share(self) -> Share:
        """Of requests."""
        return Share(sum(self.hits), sum(self.tries))

    def halves(self) -> tuple[Clustered, Clustered]:
        """Return every other conversation, and the rest."""
        one, other = (Clustered(self.hits[half::2], self.tries[half::2]) for half in (0, 1))
        return one, other

    def interval(self, chance: float, times: float = 1.0) -> Interval:
        """Return where the share lies with this chance, or would if there were so many times as many conversations.

        The upper end is Stringer's bound (Proceedings of the Business and Economic Statistics Section, ASA, 1963,
        405-411; Bickel, International Statistical Review 60 (1992), 197-209), the lower one its mirror image.
        Auditors use it for this very case: few errors or none, each of a part of its unit. It counts conversations by
        exact binomial limits, so it needs no estimate of how alike requests are, which none or a few hits don't give;
        it is conservative in practice, and proven to be for many (Pap and van Zuijlen, Statistica Neerlandica 50
        (1996), 367-389). Where none are hits, it is the binomial limit of conversations that are hits as a whole.
        """
        mean = sum(self.tries) / len(self.tries)
        parts = sorted((hit / mean for hit in self.hits if hit), reverse=True)
        return _of_mean(parts, max([self._unseen / mean, *parts[:1]]), len(self.tries) * times, times, chance)

    @property
    def _unseen(self) -> float:
        """Requests of the conversation that a request lies in, on the average: an unseen one that is a hit as a whole
        is taken to be as long, because a longer one has more occasions to be hit (Kish, Survey Sampling (1965))."""
        return sum(tried * tried for tried in self.tries) / sum(self.tries)


def _of_mean(parts: Sequence[float], most: float, count: float, each: float, chance: float) -> Interval:
    """Return where the mean of `count` values from 0 to `most` lies, of which these, falling, are above 0.

    The mean is the sum of its layers: each drop between two values, times the share of values that reach above it.
    That share has exact limits: Clopper and Pearson, Biometrika 26 (1934), 404-413. `each`: how often each value is
    there.
    """
    import numpy as np
    from scipy import special

    drops = np.array([upper - lower for upper, lower in pairwise([most, *parts, 0.0])])
    reach, tail = np.arange(len(drops)) * each, (1 - chance) / 2
    # Of none the lower limit is 0, and of all the upper one 1.
    low = np.where(reach > 0, special.betaincinv(np.maximum(reach, 1), count - reach + 1, tail), 0)
    high = np.where(reach < count, special.betaincinv(reach + 1, np.maximum(count - reach, 1), 1 - tail), 1)
    return Interval(float(drops @ low), min(1.0, float(drops @ high)))
