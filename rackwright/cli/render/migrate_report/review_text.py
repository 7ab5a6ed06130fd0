"""A review as lines of text and as JSON: first what is broken, then each promise, then what it is based on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rackwright.cli.common.context import Json
from rackwright.cli.render.table import table
from rackwright.migrate.review.promises import Basis, Finding, Reviewed, State, Unit
from rackwright.report.words import counted
from rackwright.state.formats import stamp
from rackwright.verdict import words
from rackwright.verdict.result import Figure

HEAD = ("promise", "promised", "measured", "deviation", "limit", "state")
_OTHERS: tuple[State, ...] = ("kept", "open", "not measured")
_DEVIATION: Mapping[Unit, Callable[[float], str]] = {
    "points": lambda value: f"{_plain(value):+.1f}",
    "requests/s": lambda value: f"{value:+.3g}",
    "a month": lambda value: f"{value:+,.2f}",
    "s": lambda value: f"{_plain(value * 1000):+,.1f} ms",
    "share": lambda value: f"{_plain(100 * value):+.1f} points",
    "requests": lambda value: f"{value:+,.0f}",
}


def as_text(found: Reviewed) -> Iterator[str]:
    """Yield its lines for a terminal."""
    yield headline(found)
    yield ""
    yield from table([HEAD, *(row(found, one) for one in found.findings)])
    yield ""
    yield from (f"{one.name}: {one.why}" for one in found.findings)
    yield ""
    yield from table([("based on", ""), *basis(found.basis)])
    yield from (f"note: {doubt}" for doubt in found.doubts)
    yield from dict.fromkeys(f"next: {one.next}" for one in found.findings if one.next)


def headline(found: Reviewed) -> str:
    """Return which promises are broken."""
    broken = found.of("broken")
    if not broken:
        return "no promise is broken: " + ", ".join(f"{len(found.of(one))} {one}" for one in _OTHERS)
    which = "; ".join(one.name for one in broken)
    return f"{counted(len(broken), 'promise is broken', 'promises are broken')}: {which}"


def row(found: Reviewed, one: Finding) -> tuple[str, ...]:
    """Return the cells of one finding, below HEAD."""
    said = (_said(found, one.unit, value) for value in (one.promised, one.measured))
    away = "-" if one.deviation is None else _DEVIATION[one.unit](one.deviation)
    return one.name, *said, away, _said(found, one.unit, one.limit), one.state


def basis(found: Basis) -> Iterator[tuple[str, str]]:
    """Yield what the figures are based on."""
    yield "the cutover began", stamp(found.began)
    yield "the fleet's share", f"{found.share:g} % of new conversations, since {stamp(found.step)}"
    yield "measured until", stamp(found.until)
    yield "access logs since", stamp(found.counted_from) if found.counted_from else "they can't be read"
    yield "requests in them", f"{found.requests:,}, of which the fleet had {found.fleet:,}"
    yield "the plan", f"sha256 {found.plan}"
    yield "the log's last entry", f"sha256 {found.log}"


def document(found: Reviewed) -> dict[str, Json]:
    """Return all of it as JSON, with the deviations."""
    findings = [{**one.model_dump(mode="json"), "deviation": one.deviation} for one in found.findings]
    return {**found.model_dump(mode="json"), "kept": found.kept, "findings": findings}


def _said(found: Reviewed, unit: Unit, value: float | None) -> str:
    if value is None:
        return "-"
    if unit == "a month":
        return f"{value:,.2f} {found.currency} a month"
    if unit in ("s", "share"):
        return words.value(Figure.TTFT_MEDIAN if unit == "s" else Figure.ERRORS, value)
    texts = {"points": f"{_plain(value):+.1f} points", "requests": f"{value:,.0f}"}
    return texts.get(unit) or f"{value:.3g} {unit}"


def _plain(value: float) -> float:
    # Rounded first and + 0.0, so that "-0.0" never appears.
    return round(value, 1) + 0.0
