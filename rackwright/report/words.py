"""Words and signs that all forms of a report share. A color only repeats what a sign or a word says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rackwright.run import Outcome, Run, Step

SIGNS = {
    Outcome.UNCHANGED: "=",
    Outcome.WOULD_CHANGE: "~",
    Outcome.CHANGED: "+",
    Outcome.FAILED: "!",
    Outcome.SKIPPED: "-",
    Outcome.NOT_RUN: "-",
}
COLORS = {Outcome.WOULD_CHANGE: "yellow", Outcome.CHANGED: "green", Outcome.FAILED: "red"}
REPORTED = (Outcome.WOULD_CHANGE, Outcome.CHANGED, Outcome.FAILED)
"""Outcomes that get a line of their own."""


def hosts_of(run: Run) -> tuple[str, ...]:
    """Return every host of the run, in its order."""
    return tuple(dict.fromkeys([*(step.host for step in run.steps), *run.unreachable]))


def by_role(steps: Iterable[Step]) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Given one host's steps, yield those with a reported outcome, role by role, in their order."""
    reported = [step for step in steps if step.outcome in REPORTED]
    for role, group in groupby(reported, key=lambda step: step.role):
        yield role, tuple(group)


def separated(blocks: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of all blocks, with an empty line between two blocks."""
    lines = [line for block in blocks for line in ("", *block)]
    return lines[1:]


def counted(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the first few names and how many more there are; "-" if there is none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}" or "-"


def size(count: float) -> str:
    """Given a number of bytes, return it for people, like 98.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Given seconds, return them for people, like 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
