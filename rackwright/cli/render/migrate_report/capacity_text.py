"""A capacity as lines of text: what was measured, then what is extrapolated from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rackwright.cli.render.migrate_report.answer_basis import answer_basis
from rackwright.cli.render.table import table
from rackwright.migrate.capacity.result import Cache, CapacityFound, Extrapolated, Measured, ModelCapacity, Speed
from rackwright.report.words import counted
from rackwright.state.formats import stamp

HEAD = ("rate", "sent", "answered", "failed", "tokens/s", "first token p95", "per token p95", "answer p95", "")


def as_text(found: CapacityFound) -> list[str]:
    """Return its lines for a terminal."""
    lines: list[str] = []
    for model in found.models:
        lines += [*_model(model), ""]
    lines.append("the planned replicas are enough" if found.met else "the planned replicas are not enough")
    return lines


def _model(found: ModelCapacity) -> Iterator[str]:
    yield f"{found.model}, instead of {', '.join(found.instead_of)}"
    yield f"measured: {measured(found.measured)}"
    yield from (f"  {line}" for line in table([HEAD, *map(row, found.measured.speeds)]))
    yield f"  {goodput(found.measured)}"
    yield f"extrapolated: {extrapolated(found.extrapolated)}"
    yield f"  {needed(found)}"
    yield f"cache: {cache(found.cache)}"
    if basis := answer_basis(found.answers):
        yield f"lengths of answers: {basis}"
    yield from (f"left out: {count} ({why})" for why, count in found.left_out.items())
    yield from (f"PROBLEM: {problem}" for problem in found.problems)


def measured(found: Measured) -> str:
    """Return what was replayed."""
    when = stamp(datetime.fromtimestamp(found.window_start, UTC))
    objectives = ", without objectives in the fleet file" if found.without_objectives else ""
    window = f"{found.requests} requests of the busiest {found.window_seconds} s, from {when}"
    return f"replica {found.replica}, {window}, replayed by {found.tool}{objectives}"


def row(speed: Speed) -> tuple[str, ...]:
    """Return the cells of one replay, below HEAD."""
    times = (speed.ttft_p95, speed.tpot_p95, speed.latency_p95)
    counts = (f"{speed.rate:g}", f"{speed.requests}", f"{speed.answered}", f"{speed.failed}")
    return (*counts, f"{speed.tokens_per_second:.1f}", *map(_seconds, times), speed.missed or "")


def goodput(found: Measured) -> str:
    if found.goodput is None:
        return f"no rate was good: {found.why_ended}"
    return f"one replica keeps up with {found.goodput:.3g} requests/s; {found.why_ended}"


def extrapolated(found: Extrapolated) -> str:
    """Return the peak of all clients."""
    peaks = ", ".join(f"{rate:.3g} in {seconds} s" for seconds, rate in found.peaks.items())
    peak = f"{found.peak:.3g} requests/s at the peak, from a sample of {found.sampled:.3g} percent"
    return f"{peak} (busiest windows: {peaks})"


def needed(found: ModelCapacity) -> str:
    size = found.extrapolated
    if size.replicas is None or size.busy is None:
        return "the number of replicas can't be computed"
    busy = f"{counted(size.busy, 'replica')} with {size.headroom:g} percent headroom, and {size.spare} spare"
    total = counted(size.replicas, "replica") + (f" with {counted(size.gpus, 'GPU')}" if size.gpus else "")
    return f"{busy}: {total}; the fleet file has {counted(found.planned, 'replica')}"


def cache(found: Cache) -> str:
    largest = f"largest request {found.largest} tokens of a context of {found.context}"
    known = f"{found.counted:.0%} of them counted by the provider, the others estimated"
    answer = {True: "fits", False: "does not fit", None: "not known"}[found.fits]
    parts = (answer, f"{largest}, 95 percent have at most {found.typical}", known, found.why)
    return "; ".join(part for part in parts if part)


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
