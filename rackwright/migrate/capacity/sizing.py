"""How many replicas a rate needs, and whether their caches hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizing:
    busy: int
    """Replicas that the rate needs, with headroom."""
    spare: int
    gpus: int
    """Of all replicas."""

    @property
    def replicas(self) -> int:
        return self.busy + self.spare


def sizing(peak: float, goodput: float, *, headroom: float, spare: int, gpus: int) -> Sizing:
    """Return the replicas for `peak` requests per second.

    `goodput`: what one replica keeps up with under the objectives, per second. `headroom`: percent of each replica
    that stays free. `gpus`: of one replica, on all its hosts.
    """
    # Rounding mustn't add a replica.
    busy = max(1, math.ceil(peak / (goodput * (1 - headroom / 100)) - 1e-9))
    return Sizing(busy, spare, (busy + spare) * gpus)


def at_a_time(rate: float, seconds: float) -> int:
    """Return how many requests are in work at a time (Little, Operations Research 9 (1961), 383-387), rounded up."""
    return max(1, math.ceil(rate * seconds - 1e-9))
