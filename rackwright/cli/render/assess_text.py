"""An assessment for a terminal: one block per host, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap

from rackwright.fit.known import Served
from rackwright.lifecycle.assess.assessment import GROUPS, Assessed, Assessment, Severity, Verdict
from rackwright.report.words import counted, separated

WIDTH = 100
"""Columns. Only lines of facts are wrapped, so that a command can be copied."""


def as_text(found: Assessment) -> list[str]:
    """Return lines: a block for each host, then how many are ready."""
    return separated([*map(_block, found.hosts), [totals(found)]])


def totals(found: Assessment) -> str:
    """Return the number of hosts with each verdict, in one line."""
    counts = ((len(found.with_verdict(verdict)), verdict) for verdict in Verdict)
    verdicts = ", ".join(f"{number} {verdict}" for number, verdict in counts if number)
    return f"{counted(len(found.hosts), 'host')}: {verdicts or 'none asked'}"


def headline(host: Assessed) -> str:
    """Return the verdict, with the number of its reasons."""
    number = {Verdict.NOT_READY: Severity.BLOCKS, Verdict.WARNINGS: Severity.WARNS}.get(host.verdict)
    return f"{host.verdict}: {counted(host.count(number), 'thing')}" if number else str(host.verdict)


def _block(host: Assessed) -> Iterator[str]:
    yield f"{host.host}  {headline(host)}"
    if host.unreachable:
        yield f"  {host.unreachable}"
    for group in GROUPS:
        if facts := host.facts_of(group):
            line = f"  {group:<8} " + "; ".join(f"{fact.name}: {fact.value}" for fact in facts)
            yield from _wrapped(line)
    yield from _serves(host)
    for missing in host.missing:
        yield f"  {missing.severity.value.upper():<8} {missing.group}: {missing.what}"
        if missing.next:
            yield f"           next: {missing.next}"


def _serves(host: Assessed) -> Iterator[str]:
    """Yield a line for each of the fleet's models, then for each well-known one."""
    for model in host.models:
        word = {True: "fits", False: "doesn't fit", None: "not known"}[model.fits]
        yield from _wrapped(f"  {'serves':<8} {model.model}, {place(model.gpus)}: {word}, {model.why}")
    for name, kinds in groupby(host.known, key=lambda served: served.name):
        yield from _wrapped(f"  {'serves':<8} {name}: {'; '.join(map(capacity, kinds))}")


def place(gpus: int) -> str:
    return f"on {counted(gpus, 'GPU')}" if gpus else "on the CPU"


def capacity(served: Served) -> str:
    """Return the precision, the number of GPUs, and the capacity."""
    alone = f"{served.context} tokens alone"
    return f"{served.precision} {place(served.gpus)}, {alone} or {served.requests} x 8192"


def _wrapped(line: str) -> list[str]:
    return wrap(line, WIDTH, subsequent_indent=" " * 11, break_on_hyphens=False)
