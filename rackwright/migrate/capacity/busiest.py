"""The busiest windows of recorded traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MEASURABLE = 20
"""Recorded requests with a known time: a 95th percentile needs them."""
LENGTHS = (60, 300, 900, 3600, 21_600, 86_400)
"""Seconds of windows, in the order in which they are tried."""
LEAST = 100
"""Requests of a window that is replayed: a 95th percentile of fewer is uncertain."""


BLOCK = 65_536
"""Requests that are looked at together: arrays of one number for each of them stay in the processor's cache."""


@dataclass(frozen=True)
class Arrivals:
    """When requests arrived, in ascending order, and how many of clients' requests each one stands for: in a sample
    of 10 percent, ten. Both are numbers in arrays, because there may be many millions."""

    times: NDArray[float64]
    """Unix seconds."""
    summed: NDArray[float64]
    """How many of clients' requests came before each of these; with one item more, for all."""


@dataclass(frozen=True)
class Window:
    start: float
    """Unix seconds of its first request."""
    seconds: int
    requests: int
    """Recorded ones."""
    weight: float
    """All of clients' requests that these stand for."""

    @property
    def whole_rate(self) -> float:
        """All requests per second, extrapolated from the recorded ones."""
        return self.weight / self.seconds


def arrivals(times: Sequence[float], weights: Sequence[float]) -> Arrivals:
    """Return these arrivals in order."""
    import numpy as np

    unordered = np.asarray(times, dtype=np.float64)
    order = np.argsort(unordered, kind="stable")
    summed = np.zeros(len(order) + 1)
    np.cumsum(np.asarray(weights, dtype=np.float64)[order], out=summed[1:])
    return Arrivals(unordered[order], summed)


def busiest(found: Arrivals, seconds: int) -> Window | None:
    """Return the window of this length with the highest weight, the first one of several; None: no requests."""
    import numpy as np

    best: Window | None = None
    for first in range(0, len(found.times), BLOCK):
        last = found.times[first : first + BLOCK]
        begins = np.searchsorted(found.times, last - seconds, side="right")
        weights = found.summed[first + 1 : first + 1 + len(last)] - found.summed[begins]
        # Sums of the same weights may differ in their last digits.
        place = int(np.argmax(weights >= np.max(weights) * (1 - 1e-9)))
        begin, weight = int(begins[place]), float(weights[place])
        if best is None or weight > best.weight * (1 + 1e-9):
            best = Window(float(found.times[begin]), seconds, first + place - begin + 1, weight)
    return best


def to_replay(found: Arrivals) -> Window | None:
    """Return the busiest window of the shortest length that has LEAST requests, else that with the most requests."""
    windows = [window for seconds in LENGTHS if (window := busiest(found, seconds))]
    enough = next((window for window in windows if window.requests >= LEAST), None)
    return enough or max(windows, key=lambda window: window.requests, default=None)
