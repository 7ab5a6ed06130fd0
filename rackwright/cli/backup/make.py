"""`rackwright backup run` and `backup check`: what the hosts' timers do, now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import hosts_argument, to_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.make import Made, Verb


@click.command(cls=Command)
@hosts_argument
@to_option
@click.option("--adopt", is_flag=True, help="First have the hosts use the repositories that are there.")
@yes_option
@common_options
@pass_context
def run(context: Context, hosts: tuple[str, ...], to: str | None, adopt: bool, yes: bool) -> int:
    """Make a snapshot now, of all hosts or of these.

    Each snapshot's content is checked. Ctrl-C only stops watching; the hosts continue. A new host refuses to use a
    repository that has snapshots; any host refuses one that replaced its own. --adopt shows these repositories,
    asks, and has the hosts use them. Exit code 3 if a host's snapshot isn't good.
    """
    return ExitCode.HOSTS_FAILED if _make(context, "run", hosts, to, adopting=adopt, yes=yes) else ExitCode.DONE


@click.command(cls=Command)
@hosts_argument
@to_option
@common_options
@pass_context
def check(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """Check the repositories now, and read the next quarter of their data.

    Ctrl-C only stops watching; the hosts continue. Exit code 12 if a repository is damaged or can't be checked.
    """
    return ExitCode.NOT_PROVEN if _make(context, "check", hosts, to) else ExitCode.DONE


def _make(
    context: Context,
    verb: Verb,
    hosts: tuple[str, ...],
    to: str | None,
    *,
    adopting: bool = False,
    yes: bool = True,
) -> bool:
    """Run it on the hosts, print the results, and return whether one of them isn't good."""
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.backup.adopt import adopt
    from rackwright.lifecycle.backup.destinations import places
    from rackwright.lifecycle.backup.make import make
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet, limit=hosts) as session:
        wanted = places(session, to)
        adopted = adopt(session, wanted, console) if adopting else ()
        made = make(session, verb, wanted, console)
    document = [
        {
            "host": one.host,
            "repository": one.repository,
            "snapshot": one.state.snapshot if one.state else None,
            "files": one.state.files if one.state else None,
            "bytes": one.state.bytes if one.state else None,
            "part": one.state.part if one.state else None,
            "problem": one.problem,
            "next": one.next,
        }
        for one in made
    ]
    failed = [one for one in made if one.problem]
    lines = [*(line for one in made for line in _lines(one, verb)), f"{len(made) - len(failed)} of {len(made)} good"]
    answer: dict[str, object] = {"made": document, "good": len(made) - len(failed), "failed": len(failed)}
    if adopting:
        answer["adopted"] = [
            {"host": one.host, "repository": one.repository, "id": one.id, "instead_of": one.instead_of}
            for one in adopted
        ]
    context.answer(answer, *lines)
    return bool(failed)


def _lines(one: Made, verb: Verb) -> Iterator[str]:
    from rackwright.report.words import size

    place = f"{one.host} to {one.repository}"
    if one.problem or one.state is None:
        yield f"FAIL {place}: {one.problem}"
        if one.next:
            yield f"  next: {one.next}"
    elif verb == "check":
        yield f"ok   {place}: part {one.state.part} of 4 read"
    else:
        saved = f"{one.state.files} files, {size(one.state.bytes or 0)}"
        yield f"ok   {place}: {(one.state.snapshot or '')[:8]}, {saved}"
