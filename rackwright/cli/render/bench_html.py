"""A measurement as an HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render import bench_text, plots
from rackwright.cli.render.page import page
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench import Benched
from rackwright.lifecycle.bench.compare import Comparison
from rackwright.lifecycle.bench.objectives import seconds
from rackwright.state.bench import Bench, Spread
from rackwright.state.formats import stamp


def as_html(found: Benched, compared: Comparison | None, objectives: Objectives | None) -> str:
    """Return the page. Everything that came from elsewhere is escaped."""
    return page(
        "bench.html",
        found=found,
        bench=found.bench,
        compared=compared,
        plots=tuple(_plots(found.bench, objectives)),
        text=bench_text,
        size=plots,
        seconds=seconds,
        when=stamp(found.bench.when),
    )


def _plots(bench: Bench, objectives: Objectives | None) -> Iterator[plots.Plot]:
    """Yield a plot of each figure by rate, with the objective as its limit."""
    throughput = [(step.rate, step.requests_per_second) for step in bench.steps]
    tokens = [(step.rate, step.tokens_per_second) for step in bench.steps]
    drawn = [
        plots.over_rate("Throughput", "requests/s", throughput),
        plots.over_rate("Throughput", "tokens/s", tokens),
    ]
    for figure, name in bench_text.FIGURES.items():
        wanted: int | None = getattr(objectives, f"{figure}_p95", None)
        limit = None if wanted is None else wanted / 1000
        title = f"{name.capitalize()}, p95"
        drawn.append(plots.over_rate(title, "s", _spread(bench, figure), wanted=limit))
    yield from (plot for plot in drawn if plot)


def _spread(bench: Bench, figure: str) -> list[tuple[float, float]]:
    found: list[tuple[float, Spread | None]] = [(step.rate, getattr(step, figure)) for step in bench.steps]
    return [(rate, spread.p95) for rate, spread in found if spread]
