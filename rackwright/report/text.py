"""A Run as lines of text, styled for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.report.plan_summary import by_hosts
from rackwright.report.words import COLORS, SIGNS, by_role, counted, hosts_of
from rackwright.run import Outcome, Run, Step
from rackwright.terminal import Styled


def plan_text(run: Run, *, diff: bool) -> list[str]:
    """Return what would change, then failed and unreachable hosts and the totals.

    With `diff`, each operation of each host has a line, with the differences in its files.
    """
    listed = [line for host in hosts_of(run) for line in _planned(run, host)] if diff else by_hosts(run)
    return _trimmed([*listed, *_notes(run), *_failures(run), "", _planned_totals(run)])


def apply_text(run: Run) -> list[str]:
    """Return a line of counts per host, and at the end each failure with its last lines of output."""
    lines = [*_table(run), *_notes(run), *_failures(run)]
    if run.interrupted:
        left = sum(step.outcome is Outcome.NOT_RUN for step in run.steps)
        lines += ["", f"interrupted: {counted(left, 'operation')} not run; rackwright plan shows what is left"]
    return _trimmed(lines)


def _planned_totals(run: Run) -> str:
    totals = run.totals()
    if not totals.changed:
        return f"nothing would change; {totals.unchanged} unchanged"
    changing = sum(run.totals(host).changed > 0 for host in hosts_of(run))
    found = f"{counted(totals.changed, 'change')} on {counted(changing, 'host')}; {totals.unchanged} unchanged"
    return Styled(found, bold=True)


def _trimmed(lines: list[str]) -> list[str]:
    """Return the lines without empty ones at the start and the end."""
    filled = [number for number, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1]


def _planned(run: Run, host: str) -> Iterator[str]:
    if host in run.unreachable:
        return
    totals = run.totals(host)
    if not totals.changed:
        yield f"{host}: nothing would change"
        return
    yield Styled(f"{host}: {counted(totals.changed, 'change')}, {totals.unchanged} unchanged", bold=True)
    for role, reported in by_role(run.of(host)):
        yield f"  {role}"
        for step in reported:
            yield _styled(step)
            if step.diff:
                yield from (_diff_line(line) for line in step.diff.removesuffix("\n").split("\n"))


def _note_lines(step: Step) -> list[str]:
    # splitlines() would hide other separators instead of showing them as escapes.
    return step.note.removesuffix("\n").split("\n") if step.note else []


def _styled(step: Step) -> str:
    text = f"    {SIGNS[step.outcome]} {step.operation}"
    if step.outcome is Outcome.FAILED:
        text += " (failed)"
    return Styled(text, COLORS.get(step.outcome))


def _diff_line(line: str) -> str:
    color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return Styled(f"        {line}", color)


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
        yield Styled(row, "red") if totals.failed else row


def _notes(run: Run) -> Iterator[str]:
    if run.notes:
        yield ""
        yield Styled("differs from the fleet file, and is left as it is:", "yellow")
    for step in run.notes:
        yield from (f"  {step.host}: {step.role}: {line}" for line in _note_lines(step))


def _failures(run: Run) -> Iterator[str]:
    for step in run.steps:
        if step.outcome is Outcome.FAILED:
            yield ""
            yield Styled(f"{step.host} failed: {step.role}: {step.operation}", "red", bold=True)
            yield from (f"    {line}" for line in step.output)
    for host, why in run.unreachable.items():
        yield ""
        yield Styled(f"{host} unreachable: {why}", "red", bold=True)
