"""A verdict as an HTML page."""

from __future__ import annotations

from rackwright.cli.render import verdict_plots
from rackwright.cli.render.page import page
from rackwright.report.verdict_text import HEADS, Ended, cells, notes
from rackwright.verdict import Verdict
from rackwright.verdict import words as said


def as_html(verdict: Verdict, about: str, ended: Ended | None = None) -> str:
    """Return the page. Everything that came from elsewhere is escaped.

    `about`: what was compared with what, in one line. `ended`: the verdict decided if it is None.
    """
    ended = ended or Ended(verdict.word, verdict.why)
    plots = tuple(plot for plot in map(verdict_plots.plot_of, verdict.comparisons) if plot)
    return page(
        "verdict.html",
        about=about,
        ended=ended,
        compared=Ended(verdict.word, verdict.why) if ended.differs(verdict) else None,
        heads=HEADS,
        rows=tuple(map(cells, verdict.comparisons)),
        notes=tuple(notes(verdict)),
        plots=plots,
        size=verdict_plots,
        said=said,
    )
