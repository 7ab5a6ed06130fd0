"""The busiest windows of recorded traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MEASURABLE = 20
"""Recorded requests with a known time: a 95th percentile needs them."""
LENGTHS = (60, 300, 900, 3600, 21_600, 86_400)
"""Seconds of windows, in the order in which they are tried."""
LEAST = 100
"""Requests of a window that is replayed: a 95th percentile of fewer is uncertain."""


@dataclass(frozen=True)
class Arrivals:
    """When requests arrived, in ascending order, and how many of clients' requests each one stands for: in a sample
    of 10 percent, ten."""

    times: Sequence[float]
    """Unix seconds."""
    weights: Sequence[float]


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
    def rate(self) -> float:
        """Recorded requests per second."""
        return self.requests / self.seconds

    @property
    def whole_rate(self) -> float:
        """All requests per second, extrapolated from the recorded ones."""
        return self.weight / self.seconds


def arrivals(times: Sequence[float], weights: Sequence[float]) -> Arrivals:
    """Return these arrivals in order."""
    ordered = sorted(zip(times, weights, strict=True))
    return Arrivals([time for time, _ in ordered], [weight for _, weight in ordered])


def busiest(found: Arrivals, seconds: int) -> Window | None:
    """Return the window of this length with the highest weight, the first one of several; None: no requests."""
    best: Window | None = None
    begin, weight = 0, 0.0
    for end, (time, more) in enumerate(zip(found.times, found.weights, strict=True)):
        weight += more
        while time - found.times[begin] >= seconds:
            weight -= found.weights[begin]
            begin += 1
        if best is None or weight > best.weight * (1 + 1e-9):
            best = Window(found.times[begin], seconds, end - begin + 1, weight)
    return best


def to_replay(found: Arrivals) -> Window | None:
    """Return the busiest window of the shortest length that has LEAST requests, else that with the most requests."""
    windows = [window for seconds in LENGTHS if (window := busiest(found, seconds))]
    enough = next((window for window in windows if window.requests >= LEAST), None)
    return enough or max(windows, key=lambda window: window.requests, default=None)
