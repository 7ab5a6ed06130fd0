"""The parts of a migration's report, in their order. A step adds its own to PARTS."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.migrate_report.assess_text import assess_part
from rackwright.cli.render.migrate_report.capacity_part import capacity_part
from rackwright.cli.render.migrate_report.cost_part import cost_part
from rackwright.cli.render.migrate_report.cutover_part import cutover_part
from rackwright.cli.render.migrate_report.replay_text import replay_part
from rackwright.cli.render.migrate_report.score_part import score_part
from rackwright.cli.render.migrate_report.shown import Part, Shown
from rackwright.cli.render.migrate_report.standing_text import (
    HEAD,
    log_document,
    log_rows,
    results,
    results_document,
)
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.plan.plan import Plan


def plan_part(found: Reported) -> Shown:
    """Show what was intended, and which measurements decide it."""
    plan, standing = found.plan, found.standing
    rows = tuple(_plan_rows(plan))
    note = f"sha256 {standing.digest}"
    tables = [Section("Plan", note, ("key", "value"), rows)]
    if plan.waivers:
        waived = tuple(plan.waivers.items())
        tables.append(Section("Waivers", "What clients can do without, and why.", ("feature", "why"), waived))
    return Shown({"sha256": standing.digest, **plan.model_dump(mode="json")}, tuple(tables))


def results_part(found: Reported) -> Shown:
    """Show which results there are, and whether they are up to date."""
    head, *rows = results(found.standing)
    return Shown(results_document(found.standing), (Section("Results", "", head, tuple(rows)),))


def log_part(found: Reported) -> Shown:
    """Show who did what and when, and how the entries are chained."""
    log = found.standing.log
    note = f"Chained by sha256 and verified; the last entry is {log.last}." if log.entries else ""
    rows = tuple(log_rows(log.entries))
    return Shown(log_document(log.entries), (Section("Log", note, HEAD, rows),))


def _plan_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    yield ("intent", plan.intent)
    yield ("cloud", plan.cloud)
    for name, model in plan.models.items():
        yield (name, f"→ {model}")
    score, capacity = plan.score, plan.capacity
    yield ("score", f"at most {score.margin:g} points worse, from {score.least} pairs on")
    yield ("golden set", str(score.golden or "none"))
    yield ("judge", score.judge or "none")
    yield ("capacity", f"{capacity.headroom:g} % headroom, {capacity.spare} spare")
    yield ("replay", f"at most {plan.replay.sample} requests and {plan.replay.budget:g} {plan.currency}")
    for name, price in plan.prices.items():
        said = f"{price.input:g} in, {price.output:g} out, {plan.currency} per million tokens"
        yield (f"price of {name}", said)


PARTS: tuple[Part, ...] = (
    Part("plan", plan_part),
    Part("results", results_part),
    Part("assess", assess_part),
    Part("replay", replay_part),
    Part("score", score_part),
    Part("capacity", capacity_part),
    Part("cost", cost_part),
    Part("cutover", cutover_part),
    Part("log", log_part),
)
