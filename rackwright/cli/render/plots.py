"""Plots as geometry: numbers in, positions out. A template draws them as SVG; lines and dots need no library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 72, 16, 12, 36
_TICKS = 5


@dataclass(frozen=True)
class Tick:
    at: float
    """Position in the picture."""
    value: float


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    rate: float
    value: float


@dataclass(frozen=True)
class Plot:
    """One figure by rate."""

    title: str
    unit: str
    dots: tuple[Dot, ...]
    """In the order of rates."""
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    limit: float | None = None
    """Position of the limit. None: there is no limit, or it is above the picture."""
    wanted: float | None = None

    @property
    def line(self) -> str:
        """The points of an SVG polyline."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def over_rate(
    title: str, unit: str, points: Sequence[tuple[float, float]], *, wanted: float | None = None
) -> Plot | None:
    """Given (rate, figure) pairs, return their plot, or None if there are no pairs."""
    if not points:
        return None
    highest = max(value for _, value in points)
    # A limit far above the measured values would flatten the line, so only the caption has it.
    shown = wanted if wanted is not None and wanted <= 2 * highest else None
    rates, values = steps(max(rate for rate, _ in points)), steps(max(highest, shown or 0))
    dots = tuple(Dot(_x(rate, rates), _y(value, values), rate, value) for rate, value in sorted(points))
    return Plot(
        title=title,
        unit=unit,
        dots=dots,
        across=tuple(Tick(_x(rate, rates), rate) for rate in rates),
        up=tuple(Tick(_y(value, values), value) for value in values),
        limit=None if shown is None else _y(shown, values),
        wanted=wanted,
    )


def steps(highest: float) -> tuple[float, ...]:
    """Given the highest value, return round ones from 0 up to it or just above, about five."""
    if highest <= 0:
        return (0.0, 1.0)
    raw = highest / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return tuple(round(step * number, 10) for number in range(math.ceil(highest / step - 1e-9) + 1))


def _x(rate: float, ticks: Sequence[float]) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * rate / ticks[-1], 1)


def _y(value: float, ticks: Sequence[float]) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / ticks[-1], 1)
