"""A score as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.table import table
from rackwright.migrate.score.decide import points
from rackwright.migrate.score.request_checks import ABOUT
from rackwright.migrate.score.result import Scored, Segment

HEAD = ("segment", "pairs", "fleet", "cloud again", "difference", "95 % interval", "result", "pairs needed")
TELLS_NOT = (
    "A score says how often the fleet's answers pass the checks that the requests have, compared with the cloud's "
    "own second answers. It doesn't say whether a free text is true, complete or well written: for that, use a "
    "golden set of your own, a judge, and people who read the examples."
)


def as_text(found: Scored) -> list[str]:
    """Return its lines for a terminal."""
    lines = [headline(found), "", *table([HEAD, *map(row, found.segments)]), ""]
    lines += [f"{segment.name}: {ABOUT[name]}" for segment in found.segments for name in ABOUT if _is(segment, name)]
    lines += ["", *counts(found)]
    lines += [f"note: {doubt}" for doubt in found.doubts]
    return [*lines, TELLS_NOT]


def headline(found: Scored) -> str:
    return f"{found.word}: {found.why}"


def row(segment: Segment) -> tuple[str, ...]:
    """Return the cells of one segment, below HEAD."""
    difference = "-" if segment.difference is None else points(segment.difference)
    between = "-"
    if segment.low is not None and segment.high is not None:
        between = f"{points(segment.low)} to {points(segment.high)}"
    word = f"{segment.word}{'' if segment.decides else ' (does not decide)'}"
    needed = f"about {segment.needed}" if segment.needed else ""
    return (
        segment.name,
        f"{segment.pairs}",
        share(segment.fleet),
        share(segment.again),
        difference,
        between,
        word,
        needed,
    )


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def counts(found: Scored) -> Iterator[str]:
    """Yield what was scored, and what wasn't."""
    yield (
        f"{found.requests} requests scored, margin {found.margin:g} points, at least {found.least} pairs; the fleet "
        f"failed {found.fleet_failed} of them"
    )
    for why, count in found.left_out.items():
        yield f"left out: {count} ({why})"


def _is(segment: Segment, name: str) -> bool:
    return segment.kind == "check" and segment.of == name
