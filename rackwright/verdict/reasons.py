"""Explain the result of a comparison in one sentence: the observed difference, and in brackets its interval."""

from __future__ import annotations

from rackwright.verdict.result import Difference, Figure, Interval
from rackwright.verdict.words import difference, interval, size


def passes(figure: Figure, found: Difference, threshold: float) -> str:
    return f"{_seen(figure, found)} ({interval(figure, found.interval)}), within {difference(figure, threshold)}"


def fails(figure: Figure, found: Difference, threshold: float) -> str:
    beyond = f"beyond {difference(figure, threshold)}"
    if found.noise is not None:
        beyond += f" and the noise of {size(figure, found.noise)}"
    return f"{_seen(figure, found)} ({interval(figure, found.wide)}), {beyond}"


def is_noise(figure: Figure, found: Difference, threshold: float) -> str:
    noise = "" if found.noise is None else size(figure, found.noise)
    beyond = f"{_seen(figure, found)}, beyond {difference(figure, threshold)}"
    return f"{beyond}, but the running version itself varies by {noise}"


def is_open(
    figure: Figure, found: Difference, threshold: float, between: Interval, count: int, needed: int | None
) -> str:
    """`between`: the interval that contains the threshold; more data would narrow it."""
    where = f"the true difference may be anywhere in {interval(figure, between)}"
    enough = f"{count} of about {needed}" if needed else f"{count}, and the number needed can't be estimated"
    threshold_is = f"and the threshold is {difference(figure, threshold)}"
    return f"{_seen(figure, found)}, but {where}, {threshold_is}; not enough {figure.of}: {enough}"


def _seen(figure: Figure, found: Difference) -> str:
    shown = difference(figure, found.estimate)
    return f"{shown} the running version's" if figure.is_ratio else f"{shown} against the running version"
