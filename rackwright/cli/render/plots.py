"""Plots as geometry: numbers in, positions out. A template draws them as SVG; lines and dots need no library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 72, 16, 12, 36
_TICKS = 5
_LEAST = 2
"""Dots of a plot, at least: one dot says nothing that its number doesn't."""


@dataclass(frozen=True)
class Tick:
    at: float
    """Position in the picture."""
    value: float


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    along: float
    """The value on the horizontal axis."""
    value: float


@dataclass(frozen=True)
class Plot:
    """One figure by another one."""

    title: str
    unit: str
    dots: tuple[Dot, ...]
    """In the order in which they were given."""
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    earlier: tuple[Dot, ...] = ()
    """The same of an earlier measurement."""
    marked: Dot | None = None
    """The dot of the knee."""
    limit: float | None = None
    """Position of the limit. None: there is no limit, or it is above the picture."""
    wanted: float | None = None

    @property
    def line(self) -> str:
        """The points of an SVG polyline."""
        return _line(self.dots)

    @property
    def earlier_line(self) -> str:
        return _line(self.earlier)


def plotted(
    title: str,
    unit: str,
    points: Sequence[tuple[float, float]],
    *,
    earlier: Sequence[tuple[float, float]] = (),
    marked: tuple[float, float] | None = None,
    wanted: float | None = None,
) -> Plot | None:
    """Given pairs of the horizontal value and the figure, return their plot; None if they make no line."""
    if len(points) < _LEAST:
        return None
    highest = max(value for _, value in (*points, *earlier))
    # A limit far above the measured values would flatten the line, so only the caption has it.
    shown = wanted if wanted is not None and wanted <= 2 * highest else None
    along, values = steps(max(at for at, _ in (*points, *earlier))), steps(max(highest, shown or 0))

    def dot(point: tuple[float, float]) -> Dot:
        return Dot(_x(point[0], along), _y(point[1], values), *point)

    return Plot(
        title=title,
        unit=unit,
        dots=tuple(map(dot, points)),
        across=tuple(Tick(_x(at, along), at) for at in along),
        up=tuple(Tick(_y(value, values), value) for value in values),
        earlier=tuple(map(dot, earlier)),
        marked=dot(marked) if marked else None,
        limit=None if shown is None else _y(shown, values),
        wanted=wanted,
    )


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{dot.x},{dot.y}" for dot in dots)


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
