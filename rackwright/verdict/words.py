"""Format a verdict's figures, in the same way for reasons, text and pages."""

from __future__ import annotations

from rackwright.verdict.result import Figure, Interval


def difference(figure: Figure, value: float) -> str:
    """Format a difference: "1.07 times", "+0.4 points"."""
    return f"{value:.2f} times" if figure.is_ratio else f"{_points(value):+.1f} points"


def interval(figure: Figure, found: Interval) -> str:
    if figure.is_ratio:
        return f"{found.low:.2f} to {found.high:.2f}"
    return f"{_points(found.low):+.1f} to {_points(found.high):+.1f}"


def size(figure: Figure, value: float) -> str:
    """Format a difference without a direction, like the noise floor: "1.07 times", "0.4 points"."""
    return f"{value:.2f} times" if figure.is_ratio else f"{_points(value):.1f} points"


def value(figure: Figure, found: float | None) -> str:
    """Format one side's own figure: a share or a time, or "-" if there is none."""
    if found is None:
        return "-"
    if not figure.is_ratio:
        return f"{found:.2%}"
    if found < 0.1:
        return f"{found * 1000:.1f} ms"
    return f"{found * 1000:.0f} ms" if found < 1 else f"{found:.2f} s"


def _points(share: float) -> float:
    # Rounded first and + 0.0, so that "-0.0" never appears.
    return round(share * 100, 1) + 0.0
