"""A score as a part of a migration's report, with examples from the folder."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.intervals import Intervals, intervals
from rackwright.cli.render.migrate_report import score_text
from rackwright.cli.render.migrate_report.shown import Shown
from rackwright.cli.render.sections import Section
from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.known_way import versions_of
from rackwright.lifecycle.migrate.replay.answered import reading
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.asking.way import way_of
from rackwright.migrate.assessment import Assessed
from rackwright.migrate.score.join import Join
from rackwright.migrate.score.request_checks import ABOUT
from rackwright.migrate.score.result import Scored
from rackwright.migrate.score.side_by_side import Example, examples

_EXAMPLES = ("request", "checks that only the cloud passes", "the end of the prompt", "the cloud", "the fleet")


def score_part(found: Reported) -> Shown | None:
    """Show each segment with its interval, and the answers that differ most."""
    scored = found.result("score", Scored)
    if scored is None:
        return None
    return Shown(
        document=scored.model_dump(mode="json"),
        tables=tuple(_tables(found, scored)),
        intervals=_intervals(scored),
        doubts=() if scored.passed else (f"score: {score_text.headline(scored)}",),
    )


def _tables(found: Reported, scored: Scored) -> Iterator[Section]:
    note = " ".join((f"{score_text.headline(scored)}.", score_text.TELLS_NOT))
    yield Section("Score", note, score_text.HEAD, tuple(map(score_text.row, scored.segments)))
    checks = tuple((kind, about) for kind, about in ABOUT.items() if any(one.of == kind for one in scored.segments))
    yield Section("Checks", "", ("check", "an answer passes if"), checks)
    counts = tuple((line,) for line in (*score_text.counts(scored), *scored.doubts))
    yield Section("What was scored", "", ("requests",), counts)
    yield _examples(found, scored)


def _examples(found: Reported, scored: Scored) -> Section:
    title, note = "Examples", "The answers that differ most, redacted."
    shown: tuple[Example, ...] = ()
    try:
        way = way_of(found.plan, found.result("assess", Assessed), versions_of(found.fleet))
        shown = examples(scored.unlike, Join(reading(found.folder, way)))
        if len(shown) < len(scored.unlike):
            note += f" {len(scored.unlike)} requests are known, {len(shown)} are shown."
    except RackwrightError as error:
        note = f"The folder can't be read here: {error.problems[0].line()}."
    return Section(title, note, _EXAMPLES, tuple(map(_example, shown)))


def _example(one: Example) -> tuple[str, ...]:
    return one.request, ", ".join(one.checks), one.asked, one.cloud, one.fleet


def _intervals(scored: Scored) -> Intervals | None:
    rows = tuple(
        (one.name, 100 * one.low, 100 * one.difference, 100 * one.high, f"{one.word}, {one.why}")
        for one in scored.segments
        if one.low is not None and one.difference is not None and one.high is not None
    )
    title = (
        "Points by which the fleet's answers are better or worse than the cloud's own second answers, with the 95 % "
        f"interval; the line is the margin of -{scored.margin:g}"
    )
    return intervals(title, rows, -scored.margin)
