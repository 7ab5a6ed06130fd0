"""A drill's report as Markdown and as one HTML page. Both are signed by their hashes in the report."""

from __future__ import annotations

from rackwright.cli.render.drill_sections import heading, sections
from rackwright.cli.render.sections import Pages
from rackwright.lifecycle.drill.evidence.report import Report


def drill_pages(report: Report) -> tuple[str, str]:
    """Return the report's Markdown and its HTML."""
    pages = Pages(heading(report), report.conclusion.passed, report.conclusion.doubts, sections(report))
    return pages.markdown(), pages.html()
