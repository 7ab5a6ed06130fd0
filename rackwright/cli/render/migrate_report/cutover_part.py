"""A cutover as a part of a migration's report."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.common.context import Json
from rackwright.cli.render.migrate_report.cutover_text import cutting_document, cutting_rows, share_line
from rackwright.cli.render.migrate_report.review_text import HEAD, headline, row
from rackwright.cli.render.migrate_report.shown import Shown
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.cutover.standing import STEPS
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.review.promises import Finding, Reviewed
from rackwright.state.formats import stamp
from rackwright.state.migrations import Entry

_STEPS = ("when", "who", "step", "what")


def cutover_part(found: Reported) -> Shown | None:
    """Show how far it is, each step with its verdict, each way back, and the newest review."""
    cutting, reviewed = found.standing.cutting, found.result("review", Reviewed)
    if cutting.entry is None:
        return None
    entries = [one for one in found.standing.log.entries if one.step in STEPS]
    bad = cutting.state.phase in ("failed", "open")
    return Shown(
        document=_document(found, entries, reviewed),
        tables=tuple(_tables(found, entries, reviewed)),
        doubts=(*((f"cutover: {share_line(cutting.state)}",) if bad else ()), *_broken(reviewed)),
    )


def _document(found: Reported, entries: list[Entry], reviewed: Reviewed | None) -> Json:
    return {
        "standing": cutting_document(found.standing.cutting, found.plan),
        "steps": [{"time": stamp(one.time), "who": one.who, "step": one.step, "what": one.what} for one in entries],
        "rollbacks": sum(one.step == "rollback" for one in entries),
        "review": reviewed.model_dump(mode="json") if reviewed else None,
    }


def _tables(found: Reported, entries: list[Entry], reviewed: Reviewed | None) -> Iterator[Section]:
    rows = (*cutting_rows(found.standing.cutting, found.plan), ("residual", _residual(reviewed)))
    yield Section("Cutover", "", ("what", "value"), rows)
    steps = tuple((stamp(one.time), one.who, one.step, one.what) for one in entries)
    yield Section("Steps of the cutover", "", _STEPS, steps)
    if reviewed:
        note = f"Measured until {stamp(reviewed.basis.until)}: {headline(reviewed)}."
        yield Section("Review", note, HEAD, tuple(row(reviewed, one) for one in reviewed.findings))


def _residual(reviewed: Reviewed | None) -> str:
    """A report asks only the control hosts; the ledger is on the gateways."""
    one = _ledger(reviewed)
    if reviewed is None or one is None or one.measured is None:
        return "not measured; next: rackwright migrate ledger"
    return f"{one.measured:,.0f} on {stamp(reviewed.basis.until)}, by the review: {one.why}"


def _ledger(reviewed: Reviewed | None) -> Finding | None:
    return next((one for one in reviewed.findings if one.promise == "ledger"), None) if reviewed else None


def _broken(reviewed: Reviewed | None) -> Iterator[str]:
    if reviewed and not reviewed.kept:
        yield f"review: {headline(reviewed)}"
