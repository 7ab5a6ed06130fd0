"""`rackwright backup forget`: remove old snapshots from append-only repositories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import hosts_argument, to_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.forget import Forgotten


def _seconds(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    from rackwright.values.amounts import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{text} is no duration", where="--keep-within", should=str(error)) from None


@click.command(cls=Command)
@hosts_argument
@to_option
@click.option("--at", metavar="URL", help="Where this machine may delete, like /srv/restic/{host}.")
@click.option("--user", metavar="NAME", help="For --at rest:…: the user name.")
@click.option("--login", metavar="REFERENCE", help="For --at rest:…: the user's password, by reference.")
@click.option(
    "--keep-within", metavar="TIME", callback=_seconds, help="Like 30d. Default: keep_within in the fleet file."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@yes_option
@common_options
@pass_context
def forget(
    context: Context,
    hosts: tuple[str, ...],
    to: str | None,
    at: str | None,
    user: str | None,
    login: str | None,
    keep_within: int | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove old snapshots from append-only repositories.

    Run it where deletions are allowed, like on the backup server. It asks no host. Nothing is removed from a
    repository that is damaged, or has suspect snapshots: dated in the future, or by another author. Exit code 3 if
    something could not be removed, 12 if there are suspect snapshots.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.backup.forget import forget as carry_out
    from rackwright.lifecycle.backup.forget import status_of
    from rackwright.lifecycle.backup.forget_places import Asked

    asked = Asked(hosts, to, at, user, login, keep_within)
    with Console(quiet=context.json, yes=yes) as console:
        results = carry_out(context.fleet, asked, console, rehearsed=dry_run)
    for result in results:
        for problem in result.problems:
            context.note(*problem.lines())
    document = [_document(result) for result in results]
    context.answer({"dry_run": dry_run, "repositories": document}, *(line for one in results for line in _lines(one)))
    return status_of(results)


def _lines(result: Forgotten) -> Iterator[str]:
    plan, name = result.plan, f"{result.host} at {result.repository}"
    if result.problems or plan is None:
        yield f"FAIL {name}: {result.outcome}"
    else:
        going = f"{len(plan.goes)} {'would go' if result.outcome == 'planned' else 'gone'}"
        yield f"ok   {name}: {going}, {len(plan.stays)} there"


def _document(result: Forgotten) -> dict[str, object]:
    plan = result.plan
    return {
        "host": result.host,
        "repository": result.repository,
        "outcome": result.outcome,
        "goes": [one.id for one in plan.goes] if plan else [],
        "stays": len(plan.stays) if plan else None,
        "oldest": plan.oldest if plan else None,
        "newest": plan.newest if plan else None,
        "suspects": [{"id": one.snapshot.id, "why": one.why} for one in plan.suspects] if plan else [],
        "problems": ["\n".join(problem.lines()) for problem in result.problems],
    }
