"""Intervals of differences as geometry: one row for each, above and below zero. A template draws them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.cli.render.plots import Tick, steps

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 640, 200, 24, 26, 14, 36


@dataclass(frozen=True)
class Row:
    name: str
    y: float
    low: float
    """Positions in the picture, as the next two."""
    high: float
    at: float
    said: str
    """The figures in words."""


@dataclass(frozen=True)
class Intervals:
    title: str
    rows: tuple[Row, ...]
    across: tuple[Tick, ...]
    zero: float
    limit: float
    height: int

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def left(self) -> int:
        return LEFT

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM


def intervals(title: str, found: Sequence[tuple[str, float, float, float, str]], limit: float) -> Intervals | None:
    """Given a name, low end, middle, high end and words for each, return their picture; None if there is none."""
    if not found:
        return None
    most = max(abs(value) for _, low, _, high, _ in found for value in (low, high, limit))
    ticks = steps(most)
    largest = ticks[-1]

    def x(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value + largest) / (2 * largest), 1)

    both = sorted({*ticks, *(-tick for tick in ticks)})
    return Intervals(
        title=title,
        rows=tuple(
            Row(name, TOP + ROW * number + ROW / 2, x(low), x(high), x(middle), said)
            for number, (name, low, middle, high, said) in enumerate(found)
        ),
        across=tuple(Tick(x(value), value) for value in both),
        zero=x(0),
        limit=x(limit),
        height=TOP + ROW * len(found) + BOTTOM,
    )
