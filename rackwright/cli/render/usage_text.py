"""Usage as text, as CSV and as JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from io import StringIO

from rackwright.cli.common.context import Json
from rackwright.cli.render.table import table
from rackwright.gateway.whole_usage import Group, Histogram, Sums, Usage
from rackwright.roles.usage.program.day import EDGES
from rackwright.state.formats import stamp

_HEAD = (
    *("requests", "failed", "cancelled"),
    *("prompt tokens", "cached", "completion tokens", "estimated", "hours"),
)
_TIMES = ("first byte p50", "p95", "total p50", "p95")
_FORMULAS = ("=", "+", "-", "@")
"""With these, a spreadsheet would take a text for a formula."""


def as_text(found: Usage, by: Sequence[str], since: date) -> Iterator[str]:
    """Yield a row for each group, and their sums."""
    yield f"since {since:%Y-%m-%d}"
    groups = found.by(by)
    if not groups:
        yield "no requests"
        return
    timed = any(group.first_byte for group in groups)
    rows = [(*by, *_HEAD, *(_TIMES if timed else ()))]
    rows += [(*_named(group), *_figures(group.sums), *(_times(group) if timed else ())) for group in groups]
    rows.append(("all", *[""] * (len(by) - 1), *_figures(found.total), *(("",) * len(_TIMES) if timed else ())))
    yield from table(rows)


def notes(found: Usage) -> Iterator[str]:
    """Yield what isn't counted."""
    for one in found.lost:
        if one.requests:
            yield f"{one.gateway}: {one.requests:,} requests on {one.day:%Y-%m-%d} could not be counted"
        for after, before in one.gaps:
            yield f"{one.gateway}: the log lost lines between {_stamp(after)} and {_stamp(before)}"


def csv_text(found: Usage, by: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the CSV, with a header."""
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([*by, *asdict(Sums())])
    for group in found.by(by):
        writer.writerow([*map(_plain, group.names), *asdict(group.sums).values()])
    yield from written.getvalue().splitlines()


def document(found: Usage, by: Sequence[str], since: date) -> dict[str, Json]:
    """Return all of it as JSON."""
    return {
        "since": since.isoformat(),
        "by": list(by),
        "rows": [_row(group, by) for group in found.by(by)],
        "total": asdict(found.total),
        "edges_ms": list(EDGES),
        "lost": [
            {
                "gateway": one.gateway,
                "day": one.day.isoformat(),
                "requests": one.requests,
                "gaps": [{"after": _stamp(after), "before": _stamp(before)} for after, before in one.gaps],
            }
            for one in found.lost
        ],
        "missed": {gateway: str(error.problems[0].what) for gateway, error in found.unasked.items()},
    }


def _row(group: Group, by: Sequence[str]) -> dict[str, Json]:
    row: dict[str, Json] = {**dict(zip(by, group.names, strict=True)), **asdict(group.sums)}
    if group.first_byte and group.total:
        row |= {"first_byte": list(group.first_byte.counts), "total": list(group.total.counts)}
    return row


def _named(group: Group) -> tuple[str, ...]:
    return tuple(name or "-" for name in group.names)


def _figures(sums: Sums) -> tuple[str, ...]:
    failed = sums.interrupted + sums.rejected
    tokens = (sums.prompt_tokens, sums.cached_tokens, sums.completion_tokens)
    counts = (sums.requests, failed, sums.cancelled, *tokens, sums.estimated)
    return (*(f"{count:,}" for count in counts), f"{sums.seconds / 3600:,.1f}")


def _times(group: Group) -> tuple[str, ...]:
    return tuple(_shown(one, share) for one in (group.first_byte, group.total) for share in (0.5, 0.95))


def _shown(histogram: Histogram | None, share: float) -> str:
    if histogram is None or not any(histogram.counts):
        return ""
    most = histogram.at_most(share)
    return f"> {EDGES[-1] / 1000:g} s" if most is None else f"< {most / 1000:g} s"


def _plain(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULAS) else name


def _stamp(milliseconds: int) -> str:
    return stamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
