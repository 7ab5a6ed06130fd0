"""A Run as text, styled for a terminal. click.echo removes the style elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rackwright.report.words import COLORS, SIGNS, by_role, counted, hosts_of, safe
from rackwright.run import Outcome, Run, Step


def plan_text(run: Run) -> str:
    """Return what would change per host and role, with diffs, then failed and unreachable hosts and the totals."""
    lines: list[str] = []
    for host in hosts_of(run):
        lines += _planned(run, host)
    lines += _notes(run)
    totals = run.totals()
    changing = sum(run.totals(host).changed > 0 for host in hosts_of(run))
    lines += _failures(run)
    lines.append("")
    if totals.changed:
        lines.append(
            click.style(
                f"{counted(totals.changed, 'change')} on {counted(changing, 'host')}; {totals.unchanged} unchanged",
                bold=True,
            )
        )
    else:
        lines.append(f"nothing would change; {totals.unchanged} unchanged")
    return "\n".join(lines).strip("\n")


def apply_text(run: Run) -> str:
    """Return what changed, a line of counts per host, and at the end each failure with its last lines of output."""
    lines: list[str] = []
    for host in hosts_of(run):
        if run.totals(host).changed:
            lines += [click.style(host, bold=True), *_roles(run.of(host), diffs=False)]
    lines += ["", *_table(run), *_notes(run), *_failures(run)]
    if run.interrupted:
        left = sum(step.outcome is Outcome.NOT_RUN for step in run.steps)
        lines += ["", f"interrupted: {counted(left, 'operation')} not run; rackwright plan shows what is left"]
    return "\n".join(lines).strip("\n")


def _planned(run: Run, host: str) -> Iterator[str]:
    if host in run.unreachable:
        return
    totals = run.totals(host)
    if not totals.changed:
        yield f"{host}: nothing would change"
        return
    yield click.style(f"{host}: {counted(totals.changed, 'change')}, {totals.unchanged} unchanged", bold=True)
    yield from _roles(run.of(host), diffs=True)


def _roles(steps: tuple[Step, ...], *, diffs: bool) -> Iterator[str]:
    for role, reported in by_role(steps):
        yield f"  {role}"
        for step in reported:
            yield f"    {_styled(step)}"
            if diffs and step.diff:
                yield from (f"        {_diff_line(line)}" for line in safe(step.diff).splitlines())


def _styled(step: Step) -> str:
    text = f"{SIGNS[step.outcome]} {safe(step.operation)}"
    if step.outcome is Outcome.FAILED:
        text += " (failed)"
    return click.style(text, fg=COLORS.get(step.outcome))


def _diff_line(line: str) -> str:
    color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=color) if color else line


def _table(run: Run) -> Iterator[str]:
    hosts = hosts_of(run)
    width = max((len(host) for host in (*hosts, "total")), default=0)
    yield f"{'':<{width}}  changed  unchanged  failed  skipped"
    for host in (*hosts, None) if len(hosts) > 1 else hosts:
        totals = run.totals(host)
        row = f"{host or 'total':<{width}}  {totals.changed:>7}  {totals.unchanged:>9}"
        row += f"  {totals.failed:>6}  {totals.skipped:>7}"
        if host in run.unreachable:
            row += "  unreachable"
        elif host and totals.failed:
            row += "  FAILED"
        yield click.style(row, fg="red") if totals.failed else row


def _notes(run: Run) -> Iterator[str]:
    if run.notes:
        yield ""
        yield click.style("differs from the fleet file, and is left as it is:", fg="yellow")
    for step in run.notes:
        yield from (f"  {step.host}: {step.role}: {safe(line)}" for line in (step.note or "").splitlines())


def _failures(run: Run) -> Iterator[str]:
    for step in run.steps:
        if step.outcome is Outcome.FAILED:
            yield ""
            yield click.style(f"{step.host} failed: {step.role}: {safe(step.operation)}", fg="red", bold=True)
            yield from (f"    {safe(line)}" for line in step.output)
    for host, why in run.unreachable.items():
        yield ""
        yield click.style(f"{host} unreachable: {safe(why)}", fg="red", bold=True)
