"""`rackwright check`: show everything that could stop an apply, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.check.result import Condition

MARKS = {"ok": "ok  ", "warning": "WARN", "failed": "FAIL"}


@click.command(cls=Command)
@click.option("--offline", is_flag=True, help="Check only the files; needs no host, secret or key. For CI.")
@click.option("--explain", metavar="HOST", help="Show each setting of a host and where it was set.")
@limit_option
@common_options
@pass_context
def check(context: Context, offline: bool, explain: str | None, limit: tuple[str, ...]) -> int:
    """Check the fleet file, the lock and the hosts; change nothing.

    Prints one line per condition. Exit code 12 if a host doesn't meet one, 10 if the files aren't valid.
    """
    if explain:
        return _explain(context, explain)
    if not offline:
        hosts_needed()
    from rackwright.lifecycle.check.procedure import Checked, check_files

    checked = check_files(context.fleet)
    if not offline:
        from rackwright.fleet.naming import hosts_named
        from rackwright.lifecycle.check.procedure import check_hosts

        hosts = check_hosts(context.fleet, hosts_named(context.fleet, limit))
        checked = Checked(checked.conditions + hosts.conditions)
    document = {"conditions": [asdict(condition) for condition in checked.conditions], "failed": len(checked.failed)}
    context.answer(document, *(line for condition in checked.conditions for line in _lines(condition)))
    return ExitCode.NOT_PROVEN if checked.failed else ExitCode.DONE


def _lines(condition: Condition) -> Iterator[str]:
    yield f"{MARKS[condition.state]} {condition.where:<12} {condition.what:<10} {condition.found}"
    if condition.next:
        yield f"     next: {condition.next}"


def _explain(context: Context, host: str) -> int:
    from rackwright.fleet.explain import explain

    rows = explain(context.fleet, host)
    document: Json = [{"setting": row.setting, "value": row.value, "origin": row.origin} for row in rows]
    width = max((len(row.setting) for row in rows), default=0)
    values = max((len(row.value) for row in rows), default=0)
    context.answer(document, *(f"{row.setting:<{width}}  {row.value:<{values}}  {row.origin}" for row in rows))
    return ExitCode.DONE
