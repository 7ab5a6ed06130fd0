"""The gateways' ledger, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

from rackwright.cli.common.context import Json
from rackwright.cli.render.table import table
from rackwright.gateway.whole_ledger import Ledger, Line, Residual
from rackwright.state.formats import stamp

_HEAD = ("key", "side", "accepted", "completed", "cancelled", "interrupted", "rejected", "running", "residual")
_LINE = ("gateway", "hour", "key", "side", "residual")


def as_text(found: Ledger, since: datetime) -> Iterator[str]:
    """Yield the sums by key and side, and each residual with what to do about it."""
    yield f"since {stamp(since)}"
    if found.totals:
        yield from table([_HEAD, *_sums(found)])
    else:
        yield "no request of a model that a cloud answers"
    for one in found.lost:
        yield f"{one.gateway}: the log lost lines between {stamp(one.after)} and {stamp(one.before)}"
    if found.residuals:
        yield from ("", "accepted, not running and not in the log:", *table([_LINE, *_rows(found.residuals)]))
        gateways = dict.fromkeys(line.gateway for line in found.residuals)
        yield from (f"next: rackwright logs {gateway}" for gateway in gateways)
    if found.unsettled:
        yield from ("", "not settled yet:", *table([_LINE, *_rows(found.unsettled)]))
        yield f"next: rackwright {'status' if found.unasked else 'migrate ledger'}"


def document(found: Ledger, since: datetime) -> dict[str, Json]:
    """Return all of it as JSON."""
    return {
        "since": stamp(since),
        "totals": [
            {"key": key, "side": side, **asdict(sums), "residual": _bounds(found.residual(key, side))}
            for (key, side), sums in found.totals.items()
        ],
        "residuals": [_line(line) for line in found.residuals],
        "unsettled": [_line(line) for line in found.unsettled],
        "lost": [
            {"gateway": one.gateway, "after": stamp(one.after), "before": stamp(one.before)} for one in found.lost
        ],
        "missed": {gateway: str(error.problems[0].what) for gateway, error in found.unasked.items()},
    }


def _sums(found: Ledger) -> Iterator[tuple[str, ...]]:
    for (key, side), sums in found.totals.items():
        counts = (f"{number:,}" for number in asdict(sums).values())
        yield (key, side, *counts, _shown(found.residual(key, side)))


def _rows(lines: Iterable[Line]) -> Iterator[tuple[str, ...]]:
    for line in lines:
        yield line.gateway, _begins(line), line.key, line.side, _shown(line.residual)


def _begins(line: Line) -> str:
    return f"{line.begins:%Y-%m-%d}" if line.lasts >= timedelta(days=1) else f"{line.begins:%Y-%m-%dT%H:00Z}"


def _shown(residual: Residual | None) -> str:
    if residual is None:
        return "not known"
    return f"{residual.low:,}" if residual.settled else f"{residual.low:,} to {residual.high:,}"


def _line(line: Line) -> dict[str, Json]:
    said = {"gateway": line.gateway, "begins": stamp(line.begins), "hours": line.lasts // timedelta(hours=1)}
    return {**said, "key": line.key, "side": line.side, **asdict(line.sums), "residual": _bounds(line.residual)}


def _bounds(residual: Residual | None) -> Json:
    return None if residual is None else {"low": residual.low, "high": residual.high}
