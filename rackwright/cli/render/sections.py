"""A report as sections of tables, which its Markdown and its HTML share. Everything in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rackwright.cli.render.page import page
from rackwright.report.markdown import escaped


@dataclass(frozen=True)
class Section:
    title: str
    note: str
    """A sentence below the title; empty: none."""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each has as many cells as the head."""


@dataclass(frozen=True)
class Pages:
    title: str
    good: bool
    """Whether the title is good news: in HTML, it gets a bar of that color."""
    doubts: Sequence[str]
    """What a reader must know first."""
    sections: Sequence[Section]

    def markdown(self) -> str:
        lines = [f"# {escaped(self.title)}"]
        if self.doubts:
            lines += ["", *(f"- {escaped(doubt)}" for doubt in self.doubts)]
        for section in self.sections:
            lines += ["", *_section(section)]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """Return one page that needs no other file."""
        return page("sections.html", title=self.title, passed=self.good, doubts=self.doubts, sections=self.sections)


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    if section.note:
        yield section.note
        yield ""
    if not section.rows:
        yield "None."
        return
    yield _row(section.head)
    yield _row(("---",) * len(section.head), plain=True)
    yield from (_row(row) for row in section.rows)


def _row(cells: tuple[str, ...], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(escaped, cells))} |"
