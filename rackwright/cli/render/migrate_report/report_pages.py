"""A migration's report: text, JSON, and one HTML page for all of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rackwright.cli.common.context import Json
from rackwright.cli.render import plots
from rackwright.cli.render.migrate_report.shown import Part, Shown
from rackwright.cli.render.page import page
from rackwright.cli.render.sections import Pages, Section
from rackwright.lifecycle.migrate.report_source import Reported


@dataclass(frozen=True)
class Report:
    found: Reported
    shown: tuple[tuple[str, Shown], ...]
    """By the parts' names, in their order; those with nothing to show are left out."""

    @property
    def good(self) -> bool:
        """Whether every verdict that is shown is PASS and still holds, and no feature is ignored."""
        shown = {name for name, _ in self.shown}
        stale = any(one.entry.step in shown for one in self.found.standing.stale)
        return not stale and not any(one.doubts for _, one in self.shown)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a reader must know first."""
        standing = self.found.standing
        old = (f"{one.entry.step} is stale: {'; '.join(one.why)}" for one in standing.stale)
        edited = (edit.line() for edit in standing.edits)
        wrong = (problem.line() for problem in standing.problems)
        shown = (doubt for _, one in self.shown for doubt in one.doubts)
        return (*shown, *self._incomplete(), *old, *edited, *wrong)

    def _incomplete(self) -> Iterator[str]:
        progress = self.found.standing.progress
        replayed = progress.replayed if progress else None
        if replayed and (why := replayed.why_incomplete):
            yield f"the replay isn't complete: {why}"

    def document(self) -> Json:
        standing = self.found.standing
        return {
            "migration": standing.migration,
            "good": self.good,
            "doubts": list(self.doubts),
            "stale": [one.entry.step for one in standing.stale],
            "problems": [asdict(problem) for problem in standing.problems],
            "parts": {name: one.document for name, one in self.shown},
            "next": standing.next,
        }

    def markdown(self) -> str:
        return Pages(self._title, self.good, self.doubts, tuple(self._tables())).markdown()

    def html(self) -> str:
        """Return one page that needs no other file. Everything in it is escaped."""
        return page(
            "migration.html",
            title=self._title,
            # Without a score, nothing says that clients can move.
            passed=self.good and any(name == "score" for name, _ in self.shown),
            doubts=self.doubts,
            intent=self.found.plan.intent,
            next=self.found.standing.next,
            parts=[one for _, one in self.shown],
            size=plots,
        )

    @property
    def _title(self) -> str:
        return f"Migration {self.found.standing.migration} of {self.found.fleet.file.fleet}"

    def _tables(self) -> Iterator[Section]:
        for _, one in self.shown:
            yield from one.tables


def report_of(found: Reported, parts: Sequence[Part]) -> Report:
    """Return the report. Raise RackwrightError if a result is missing or was changed."""
    rendered = ((part.name, part.render(found)) for part in parts)
    return Report(found, tuple((name, shown) for name, shown in rendered if shown))
