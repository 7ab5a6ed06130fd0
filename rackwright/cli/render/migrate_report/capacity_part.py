"""A capacity as a part of a migration's report."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render import plots
from rackwright.cli.render.migrate_report import capacity_text
from rackwright.cli.render.migrate_report.answer_basis import answer_basis
from rackwright.cli.render.migrate_report.shown import Curve, Shown
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.capacity.result import CapacityFound, ModelCapacity


def capacity_part(found: Reported) -> Shown | None:
    """Show what was measured, and then what is extrapolated from it."""
    capacity = found.result("capacity", CapacityFound)
    if capacity is None:
        return None
    return Shown(
        document={**capacity.model_dump(mode="json"), "met": capacity.met},
        tables=tuple(table for model in capacity.models for table in _tables(model)),
        curves=tuple(curve for model in capacity.models for curve in _curves(model)),
        doubts=tuple(f"capacity of {one.model}: {problem}" for one in capacity.models for problem in one.problems),
    )


def _tables(model: ModelCapacity) -> Iterator[Section]:
    measured = f"{capacity_text.measured(model.measured)}. {capacity_text.goodput(model.measured)}."
    rows = tuple(map(capacity_text.row, model.measured.speeds))
    yield Section(f"Capacity of {model.model}, measured", measured, (*capacity_text.HEAD[:-1], "missed"), rows)
    facts = [
        ("peak of all clients", capacity_text.extrapolated(model.extrapolated)),
        ("replicas", capacity_text.needed(model)),
        ("cache", capacity_text.cache(model.cache)),
        ("lengths of answers", answer_basis(model.answers)),
        *(("left out", f"{count} ({why})") for why, count in model.left_out.items()),
    ]
    yield Section(f"Capacity of {model.model}, extrapolated", "", ("figure", "value"), tuple(facts))


def _curves(model: ModelCapacity) -> Iterator[Curve]:
    speeds = sorted(model.measured.speeds, key=lambda speed: speed.rate)
    answered = [(speed.rate, speed.answered_per_second) for speed in speeds]
    times = [(speed.rate, speed.latency_p95) for speed in speeds if speed.latency_p95 is not None]
    knee = next((point for point in answered if min(point) == model.measured.goodput), None)
    for title, unit, points, marked in (
        (f"{model.model}: requests answered", "per second", answered, knee),
        (f"{model.model}: whole answer, p95", "s", times, None),
    ):
        if plot := plots.plotted(title, unit, points, marked=marked):
            yield Curve(plot, "requests sent per second", "a second", "the highest rate that was good")
