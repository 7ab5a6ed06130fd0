"""`rackwright backup run` and `backup check`: what the hosts' timers do, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import hosts_argument, to_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.make import Made, Verb


@click.command(cls=Command)
@hosts_argument
@to_option
@common_options
@pass_context
def run(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """Make a snapshot now, of all hosts or of these.

    Each snapshot's content is checked. Ctrl-C only stops watching; the hosts continue. Exit code 3 if a host's
    snapshot isn't good.
    """
    return ExitCode.HOSTS_FAILED if _make(context, "run", hosts, to) else ExitCode.DONE


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


def _make(context: Context, verb: Verb, hosts: tuple[str, ...], to: str | None) -> bool:
    """Run it on the hosts, print the results, and return whether one of them isn't good."""
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.backup.make import make
    from rackwright.lifecycle.backup.places import places
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet, limit=hosts) as session:
        made = make(session, verb, places(session, to), console)
    document = [
        {
            "host": one.host,
            "repository": one.repository,
            "snapshot": one.state.snapshot if one.state else None,
            "files": one.state.files if one.state else None,
            "bytes": one.state.bytes if one.state else None,
            "part": one.state.part if one.state else None,
            "problem": one.problem,
        }
        for one in made
    ]
    failed = [one for one in made if one.problem]
    lines = [*(_line(one, verb) for one in made), f"{len(made) - len(failed)} of {len(made)} good"]
    context.answer({"made": document, "good": len(made) - len(failed), "failed": len(failed)}, *lines)
    return bool(failed)


def _line(one: Made, verb: Verb) -> str:
    from rackwright.report.words import size

    place = f"{one.host} to {one.repository}"
    if one.problem or one.state is None:
        return f"FAIL {place}: {one.problem}"
    if verb == "check":
        return f"ok   {place}: part {one.state.part} of 4 read"
    return f"ok   {place}: {(one.state.snapshot or '')[:8]}, {one.state.files} files, {size(one.state.bytes or 0)}"
