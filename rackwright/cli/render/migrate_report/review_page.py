"""A review as one HTML page to sign."""

from __future__ import annotations

from rackwright.cli.render.migrate_report.review_text import HEAD, basis, headline, row
from rackwright.cli.render.page import page
from rackwright.cli.render.sections import Section
from rackwright.migrate.review.promises import Reviewed

SIGNED = ("name", "role", "date", "signature")
_LINES = 3


def as_html(found: Reviewed, title: str) -> str:
    """Return the page. It needs no other file, and everything in it is escaped."""
    rows = tuple((*row(found, one), one.why) for one in found.findings)
    undone = tuple((one.name, one.next) for one in found.findings if one.next)
    sections = (
        Section("Promised and measured", f"{headline(found)}.", (*HEAD, "based on"), rows),
        Section("What to do", "", ("promise", "next"), undone),
        Section("Based on", "", ("what", "value"), tuple(basis(found.basis))),
    )
    return page(
        "review.html",
        title=title,
        passed=found.kept,
        doubts=found.doubts,
        sections=sections,
        signed=SIGNED,
        lines=range(_LINES),
    )
