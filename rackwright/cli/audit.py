"""`rackwright audit`: who did what on the hosts, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode
from rackwright.terminal import visible

if TYPE_CHECKING:
    from rackwright.lifecycle.audit import Audit, Noted


@click.command(cls=Command)
@click.option(
    "-l", "--host", "--limit", "limit", metavar="HOST|GROUP", multiple=True, help="Only these hosts; may be repeated."
)
@click.option("--since", metavar="12h|DATE", help="Only actions since then (UTC).")
@click.option("--who", metavar="TEXT", help="Only actions of this person, user@machine or key fingerprint.")
@click.option("--run", metavar="ID", help="Only actions of this run.")
@common_options
@pass_context
def audit(context: Context, limit: tuple[str, ...], since: str | None, who: str | None, run: str | None) -> int:
    """Show who did what on the hosts, and when.

    Exit code 3 if a host's log couldn't be read, 12 if a log has a damaged line.
    """
    hosts_needed()
    from rackwright.fleet.naming import hosts_named
    from rackwright.lifecycle.audit import Wanted
    from rackwright.lifecycle.audit import audit as read
    from rackwright.lifecycle.audit import since as moment

    wanted = Wanted(moment(since), who, run)
    found = read(context.fleet, hosts_named(context.fleet, limit), wanted)
    for name, why in found.unreachable.items():
        context.note(f"{name}: its log couldn't be read: {why}")
    for problem in found.damaged:
        context.note(*problem.lines())
    context.answer(_document(found), *(_lines(found) or ["no actions"]))
    if found.unreachable:
        return ExitCode.HOSTS_FAILED
    return ExitCode.NOT_PROVEN if found.damaged else ExitCode.DONE


def _lines(found: Audit) -> list[str]:
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*map(_cells, found.acts), strict=True)]
    lines = []
    for noted in found.acts:
        cells = (f"{cell:<{width}}" for cell, width in zip(_cells(noted), widths, strict=True))
        lines += ["  ".join(cells).rstrip(), f"    {noted.act.what}: {noted.act.outcome}"]
    return lines


def _cells(noted: Noted) -> tuple[str, ...]:
    from rackwright.state.formats import stamp

    act = noted.act
    return stamp(act.time), noted.host, visible(act.operator), visible(act.run), visible(act.command)


def _document(found: Audit) -> dict[str, Json]:
    return {
        "acts": [{"host": noted.host, **noted.act.model_dump(mode="json")} for noted in found.acts],
        "unreachable": dict(found.unreachable),
        "damaged": [{"where": problem.where, "what": problem.what} for problem in found.damaged],
    }
