"""A comparison of costs as a part of a migration's report."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render import plots
from rackwright.cli.render.migrate_report import cost_text
from rackwright.cli.render.migrate_report.shown import Curve, Shown
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.cost.comparison import Costed, cumulated


def cost_part(found: Reported) -> Shown | None:
    """Show both sides' costs per month, and all that they cost until each month."""
    costed = found.result("cost", Costed)
    if costed is None:
        return None
    return Shown(costed.model_dump(mode="json"), tuple(_tables(costed)), tuple(_curves(costed)))


def _tables(found: Costed) -> Iterator[Section]:
    note = " ".join(
        f"{line}." for line in (cost_text.headline(found), cost_text.bill(found), *cost_text.doubts(found))
    )
    yield Section("Costs", note, ("per month", found.currency), tuple(cost_text.monthly(found)))
    cases = tuple(cost_text.cases(found))
    yield Section("Costs if bill and costs are lower or higher", "", cost_text.CASES, cases)


def _curves(found: Costed) -> Iterator[Curve]:
    months = max(found.written_off, (found.case.break_even or 0) * 3 // 2)
    points = cumulated(found, months)
    fleet, bills = [(n, cost) for n, _, cost in points], [(n, bill) for n, bill, _ in points]
    marked = fleet[found.case.break_even] if found.case.break_even else None
    title = "All that the fleet has cost; dashed: all bills of the cloud"
    if plot := plots.plotted(title, found.currency, fleet, earlier=bills, marked=marked):
        yield Curve(plot, "month", "months", "the break-even")
