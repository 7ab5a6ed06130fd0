"""A comparison of costs as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.migrate_report.answer_basis import answer_basis
from rackwright.cli.render.table import table
from rackwright.migrate.cost.comparison import Case, Costed
from rackwright.report.words import counted

CASES = ("bill", "fleet's costs", "saved a month", "break-even")


def as_text(found: Costed) -> list[str]:
    """Return its lines for a terminal."""
    lines = [headline(found), "", bill(found), "", *table([("per month", found.currency), *monthly(found)]), ""]
    lines += table([CASES, *cases(found)])
    return [*lines, *(f"note: {doubt}" for doubt in doubts(found))]


def headline(found: Costed) -> str:
    """Return whether, and from when on, the fleet costs less."""
    saved, case = abs(found.case.saved), found.case
    money = f"{saved:,.2f} {found.currency} a month {'less' if case.saved >= 0 else 'more'} than the cloud"
    return f"the fleet costs {money}, its hardware written off over {found.written_off} months; {_when(case)}"


def _when(case: Case) -> str:
    if case.break_even is None:
        return "it never breaks even"
    return f"it breaks even after {counted(case.break_even, 'month')}"


def bill(found: Costed) -> str:
    what = "computed, not billed" if found.computed else "as the provider billed"
    return f"bill: {found.source}, {what}, {counted(found.covered, 'day')} in {counted(len(found.months), 'month')}"


def monthly(found: Costed) -> Iterator[tuple[str, str]]:
    """Yield the rows of the costs per month."""
    yield "the cloud's bill", f"{found.bill:,.2f}"
    yield "the fleet", f"{found.fleet:,.2f}"
    for name in ("hardware", "power", "staff", "hosting"):
        yield f"  {name}", f"{getattr(found, name):,.2f}"


def cases(found: Costed) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each variation, below CASES."""
    for case in found.cases:
        months = "never" if case.break_even is None else f"month {case.break_even}"
        yield f"{case.bill_percent:+d} %", f"{case.costs_percent:+d} %", f"{case.saved:+,.2f}", months


def _of(sampled: float) -> str:
    return "recorded requests" if sampled == 100 else f"a sample of {sampled:g} percent"


def doubts(found: Costed) -> Iterator[str]:
    if found.source == "recorded tokens":
        yield (
            f"the bill is computed from {_of(found.sampled)} and the plan's prices; "
            "give the provider's export with --usage for what was really charged"
        )
        if basis := answer_basis(found.answers):
            yield f"lengths of answers: {basis}"
    elif found.computed:
        yield "the bill is computed from tokens and the plan's prices; the provider may have charged another amount"
    if found.covered < 28:
        yield f"the bill covers only {counted(found.covered, 'day')}"
    case = found.case
    if case.break_even is not None and case.break_even > found.written_off:
        yield f"the hardware is written off after {found.written_off} months, before it breaks even"
