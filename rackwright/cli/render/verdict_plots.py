"""A verdict's comparisons as geometry. Worse is always further right, whatever is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.verdict import Comparison, Figure
from rackwright.verdict import words as said
from rackwright.verdict.harm import on_scale

WIDTH, HEIGHT = 640, 64
LEFT, RIGHT = 40, 40
MIDDLE = 22
"""Height at which intervals are drawn."""
_AROUND = 0.15
"""Free space on each side, as a share of the span between the outermost marks."""


@dataclass(frozen=True)
class Span:
    left: float
    right: float

    @property
    def width(self) -> float:
        return round(self.right - self.left, 1)


@dataclass(frozen=True)
class Mark:
    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    comparison: Comparison
    seen: float
    plain: Span
    wide: Span
    noise: Span | None
    """Differences of the running version from itself."""
    too_bad: Span
    marks: tuple[Mark, Mark]
    """At no difference, and at the threshold."""


def plot_of(comparison: Comparison) -> Plot | None:
    """Return the plot of one comparison, or None if too little is known."""
    figure, found = comparison.figure, comparison.difference
    if found is None:
        return None
    ends = [_ends(figure, interval.low, interval.high) for interval in (found.interval, found.wide)]
    limit = on_scale(figure, comparison.threshold)
    noise = None if found.noise is None else abs(on_scale(figure, found.noise))
    place = _Scale.around([0.0, limit, *(end for pair in ends for end in pair), *([-noise, noise] if noise else [])])
    return Plot(
        comparison=comparison,
        seen=place(on_scale(figure, found.estimate)),
        plain=place.span(*ends[0]),
        wide=place.span(*ends[1]),
        noise=None if noise is None else place.span(-noise, noise),
        too_bad=Span(place(limit), float(WIDTH - RIGHT)),
        marks=(
            Mark(place(0.0), said.difference(figure, 1.0 if figure.is_ratio else 0.0)),
            Mark(place(limit), said.difference(figure, comparison.threshold)),
        ),
    )


def _ends(figure: Figure, low: float, high: float) -> tuple[float, float]:
    one, other = on_scale(figure, low), on_scale(figure, high)
    return min(one, other), max(one, other)


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float]) -> _Scale:
        free = _AROUND * (max(values) - min(values))
        return cls(min(values) - free, max(values) + free)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def span(self, low: float, high: float) -> Span:
        return Span(self(low), self(high))
