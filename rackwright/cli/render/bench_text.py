"""A measurement as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rackwright.lifecycle.bench import Benched
from rackwright.lifecycle.bench.compare import Comparison, Difference
from rackwright.lifecycle.bench.knee import behind
from rackwright.lifecycle.bench.objectives import seconds
from rackwright.state.bench import Bench, Spread, Step
from rackwright.state.formats import stamp

FIGURES = {"ttft": "first token", "tpot": "per output token", "latency": "whole answer"}
PERCENTILES = ("p50", "p90", "p95", "p99")
_SEARCH = ("rate", "answered", "failed", "requests/s", "tokens/s", *(f"{name} p95" for name in FIGURES.values()))


def as_text(found: Benched, compared: Comparison | None) -> list[str]:
    """Return its lines for a terminal."""
    lines = [_headline(found.bench), *_steps(found.bench)]
    lines += ["", *_objectives(found)] if found.verdicts else []
    lines += ["", *_comparison(compared)] if compared else []
    return lines


def _headline(bench: Bench) -> str:
    engines = f"{bench.replicas} replica{'s' if bench.replicas != 1 else ''}"
    what = f"{bench.model}: weights {bench.digest[:16]} by {bench.runtime}"
    return f"{what}, through {bench.through} with {engines}, from {bench.asked_from}, by {bench.tool}"


def sent(step: Step) -> str:
    """Return what was sent, and how it ended."""
    failed = ", ".join(f"{count} {kind}" for kind, count in step.errors.items())
    cached = "" if step.cached_tokens is None else f" ({step.cached_tokens:.0f} of them cached)"
    tokens = f"{step.prompt_tokens:.0f} tokens of prompt{cached}"
    counted = f"{tokens}, {step.answer_tokens:.0f} of answer" if step.answered else "no tokens"
    what = f"{step.requests} requests at {step.rate:g} a second, {step.answered} answered in {step.seconds:.1f} s"
    return f"{what}, {step.failed} failed{f' ({failed})' if failed else ''}; {counted}"


def sent_briefly(step: Step) -> str:
    """Return a progress line about one rate of several."""
    return (
        f"{step.rate:g} a second: {step.requests_per_second:.2f} requests/s, {step.failed} of {step.requests} failed"
    )


def remarks(step: Step) -> Iterator[str]:
    """Yield reasons to doubt the figures of a step."""
    yield from step.remarks
    if step.answered and (reason := behind(step)):
        yield reason
    if step.answered and step.answered < 100:
        yield f"the p99 of {step.answered} requests is the slowest of them"


def _steps(bench: Bench) -> Iterator[str]:
    if bench.searched:
        yield from _table([_SEARCH, *(_searched(step) for step in bench.steps)])
        yield knee(bench)
    step = bench.judged
    yield sent(step)
    yield ""
    rows = [(name, *_percentiles(getattr(step, figure))) for figure, name in FIGURES.items()]
    yield from _table([("", *PERCENTILES), *rows])
    yield f"throughput: {step.requests_per_second:.2f} requests/s, {step.tokens_per_second:.1f} output tokens/s"
    yield from (f"note: {remark}" for remark in remarks(step))


def knee(bench: Bench) -> str:
    """Return where the search for the knee ended."""
    if bench.knee is None:
        return f"no knee: {bench.why_ended}; start lower with --rate"
    step = bench.knee
    figures = f"{step.requests_per_second:.2f} requests/s, {step.tokens_per_second:.1f} output tokens/s"
    return f"knee: {step.rate:g} a second, {figures}; {bench.why_ended}"


def _searched(step: Step) -> tuple[str, ...]:
    spreads: list[Spread | None] = [getattr(step, figure) for figure in FIGURES]
    times = (seconds(spread.p95) if spread else "-" for spread in spreads)
    counts = (f"{step.rate:g}", f"{step.answered}", f"{step.failed}")
    return (*counts, f"{step.requests_per_second:.2f}", f"{step.tokens_per_second:.1f}", *times)


def _percentiles(spread: Spread | None) -> tuple[str, ...]:
    return tuple(seconds(getattr(spread, name)) if spread else "-" for name in PERCENTILES)


def _objectives(found: Benched) -> Iterator[str]:
    for verdict in found.verdicts:
        yield f"{'ok  ' if verdict.met else 'MISS'} {verdict.objective}: {verdict.found}, wanted {verdict.wanted}"


def _comparison(compared: Comparison) -> Iterator[str]:
    then = compared.earlier
    yield f"compared with {then.run}: weights {then.digest[:16]} by {then.runtime}, {stamp(then.when)}"
    for differs in compared.unlike:
        yield f"  not comparable: {differs}"
    rows = [
        (one.figure, figure(one.before, one), "->", figure(one.after, one), change(one))
        for one in compared.differences
    ]
    yield from (f"  {line}" for line in _table(rows))


def figure(value: float, of: Difference) -> str:
    """Return the value with the unit of the difference."""
    return seconds(value) if of.unit == "s" else f"{value:.2f}{of.unit}"


def change(of: Difference) -> str:
    """Return by how much it changed, and whether that is more than noise."""
    share = f"{of.after / of.before - 1:+.0%}, " if of.before else ""
    return f"{share}{of.trend}"


def history(benches: Sequence[Bench]) -> list[str]:
    """Return a line for each measurement, after a header."""
    heads = ("run", "when", "weights", "runtime", "through", "rate", "answered", "tokens/s", "first token p95")
    rows = [heads, *(_kept(bench) for bench in benches)]
    return list(_table(rows)) if benches else ["no measurements yet"]


def _kept(bench: Bench) -> tuple[str, ...]:
    step = bench.judged
    rate = f"{step.rate:g}{' (knee)' if bench.knee else ''}"
    first = seconds(step.ttft.p95) if step.ttft else "-"
    about = (bench.run, stamp(bench.when), bench.digest[:16], bench.runtime, bench.through)
    return (*about, rate, f"{step.answered} of {step.requests}", f"{step.tokens_per_second:.1f}", first)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        yield "  ".join(cells).rstrip()
