"""A verdict as one page."""

from __future__ import annotations

from rackwright.cli import verdict_plots
from rackwright.cli.page import page
from rackwright.report.verdict_text import HEADS, cells, notes
from rackwright.verdict import Verdict
from rackwright.verdict import words as said


def as_html(verdict: Verdict, about: str) -> str:
    """Return the page; whatever came from elsewhere is escaped. `about`: what was compared with what, in a line."""
    plots = tuple(plot for plot in map(verdict_plots.plot_of, verdict.comparisons) if plot)
    return page(
        "verdict.html",
        about=about,
        verdict=verdict,
        heads=HEADS,
        rows=tuple(map(cells, verdict.comparisons)),
        notes=tuple(notes(verdict)),
        plots=plots,
        size=verdict_plots,
        said=said,
    )
