"""A Run as Markdown, for a merge request or a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.report.words import by_role, hosts_of
from rackwright.run import Outcome, Run, Step
from rackwright.terminal import visible, visible_lines


def markdown(run: Run, title: str) -> str:
    """Return the title, a table of counts per host, each host's changes with diffs, and what failed."""
    lines = [f"# {title}", "", *_table(run), *_notes(run)]
    for host in hosts_of(run):
        if host in run.unreachable:
            lines += ["", f"## {host}: unreachable", "", *_fenced(run.unreachable[host])]
        elif run.totals(host).changed or run.totals(host).failed:
            lines += ["", f"## {host}", *_roles(run.of(host))]
    return "\n".join(lines) + "\n"


def _table(run: Run) -> Iterator[str]:
    yield "| host | changed | unchanged | failed | skipped |"
    yield "|---|--:|--:|--:|--:|"
    for host in (*hosts_of(run), None):
        totals = run.totals(host)
        yield (
            f"| {host or '**all**'} | {totals.changed} | {totals.unchanged} | {totals.failed} | {totals.skipped} |"
        )


def _notes(run: Run) -> Iterator[str]:
    if run.notes:
        yield from ("", "Differs from the fleet file, and is left as it is:", "")
    for step in run.notes:
        yield from (f"- {step.host}: {step.role}: {escaped(line)}" for line in (step.note or "").splitlines())


def _roles(steps: tuple[Step, ...]) -> Iterator[str]:
    for role, reported in by_role(steps):
        yield from ("", f"**{role}**", "")
        for step in reported:
            yield f"- {step.outcome.value}: {escaped(step.operation)}"
            detail = "\n".join(step.output) if step.outcome is Outcome.FAILED else step.diff
            if detail:
                yield from ("", *(f"  {line}" for line in _fenced(detail)), "")


def _fenced(text: str) -> Iterator[str]:
    """Yield a code block. Its fence is longer than any in the text, so that the text can't end it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}diff" if text.startswith("---") else fence, *visible_lines(text).splitlines(), fence)


def escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", visible(text))
