"""A drill's report as Markdown and as one HTML page. Both are signed by their hashes in the report."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.drill_sections import Section, heading, sections
from rackwright.cli.render.page import page
from rackwright.lifecycle.drill.evidence.report import Report
from rackwright.report.markdown import escaped


def drill_pages(report: Report) -> tuple[str, str]:
    """Return the report's Markdown and its HTML. Everything in it is escaped: it may come from a host."""
    return _markdown(report), _html(report)


def _html(report: Report) -> str:
    return page(
        "drill.html",
        title=heading(report),
        passed=report.conclusion.passed,
        doubts=report.conclusion.doubts,
        sections=sections(report),
    )


def _markdown(report: Report) -> str:
    lines = [f"# {escaped(heading(report))}"]
    if report.conclusion.doubts:
        lines += ["", *(f"- {escaped(doubt)}" for doubt in report.conclusion.doubts)]
    for section in sections(report):
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    yield f"Asked for by {section.asked_by}."
    yield ""
    if not section.rows:
        yield "None."
        return
    yield _row(section.head)
    yield _row(("---",) * len(section.head), plain=True)
    yield from (_row(row) for row in section.rows)


def _row(cells: tuple[str, ...], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(escaped, cells))} |"
