"""A measurement as an HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render import bench_text, plots
from rackwright.cli.render.page import page
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench import Benched
from rackwright.lifecycle.bench.compare import Comparison, with_previous
from rackwright.lifecycle.bench.objectives import seconds
from rackwright.state.bench import Bench, Step
from rackwright.state.formats import stamp


def as_html(found: Benched, compared: Comparison | None, objectives: Objectives | None) -> str:
    """Return the page. Everything that came from elsewhere is escaped.

    Without a comparison, it has one with the last run that was measured in the same way, if there is one.
    """
    compared = compared or with_previous(found.bench, found.earlier)
    earlier = compared.earlier if compared and not compared.unlike else None
    return page(
        "bench.html",
        found=found,
        bench=found.bench,
        compared=compared,
        plots=tuple(_load_curve(found.bench, earlier, objectives)),
        text=bench_text,
        size=plots,
        seconds=seconds,
        when=stamp(found.bench.when),
    )


def _load_curve(bench: Bench, earlier: Bench | None, objectives: Objectives | None) -> Iterator[plots.Plot]:
    """Yield a plot of each figure by the throughput at which it was measured, with the objective as its limit."""
    for figure, name in bench_text.FIGURES.items():
        wanted: int | None = getattr(objectives, f"{figure}_p95", None)
        plot = plots.plotted(
            f"{name.capitalize()}, p95",
            "s",
            _points(bench.steps, figure),
            earlier=_points(earlier.steps, figure) if earlier else (),
            marked=next(iter(_points((bench.knee,), figure)), None) if bench.knee else None,
            wanted=None if wanted is None else wanted / 1000,
        )
        if plot:
            yield plot


def _points(steps: tuple[Step, ...], figure: str) -> list[tuple[float, float]]:
    """Return throughput and p95 of each step that was answered, in the order of the rates that were sent."""
    found = ((step, getattr(step, figure)) for step in sorted(steps, key=lambda step: step.rate))
    return [(step.requests_per_second, spread.p95) for step, spread in found if spread]
