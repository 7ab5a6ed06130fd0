"""`rackwright backup`: make, check and list snapshots now; timers do the same automatically."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Group, common_options, pass_context
from rackwright.cli.render.table import table
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.backup import Made, Verb

hosts_argument = click.argument("hosts", metavar="[HOST|GROUP]...", nargs=-1)
to_option = click.option("--to", metavar="NAME", help="Only in this repository of the fleet file.")


@click.group(cls=Group)
def backup() -> None:
    """Make, check and list the hosts' snapshots.

    Units on the hosts do the work. Timers start them every day and every week; these commands start them now.
    """


@backup.command()
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


@backup.command()
@hosts_argument
@to_option
@common_options
@pass_context
def check(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """Check the repositories now, and read the next quarter of their data.

    Ctrl-C only stops watching; the hosts continue. Exit code 12 if a repository is damaged or can't be checked.
    """
    return ExitCode.NOT_PROVEN if _make(context, "check", hosts, to) else ExitCode.DONE


@backup.command(name="list")
@hosts_argument
@to_option
@common_options
@pass_context
def list_(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """List the snapshots that the repositories have, with their authors.

    It names each snapshot whose author isn't root on its host. Exit code 3 if a repository doesn't answer its host.
    """
    hosts_needed()
    from rackwright.lifecycle.backup import listed, places
    from rackwright.lifecycle.session.session import open_session
    from rackwright.report.words import size

    with open_session(context.fleet, limit=hosts) as session:
        found, problems = listed(session, places(session, to))
    rows = [("HOST", "REPOSITORY", "SNAPSHOT", "TIME", "AUTHOR", "FILES", "SIZE")]
    for one in found:
        counted = "-" if one.files is None else str(one.files)
        total = "-" if one.bytes is None else size(one.bytes)
        rows.append((one.host, one.repository, one.id[:8], one.time, one.author, counted, total))
        if one.foreign:
            context.note(f"{one.host}: {one.repository}: {one.id[:8]} is by {one.author}, not by root@{one.host}")
    for (host, repository), problem in problems.items():
        context.note(f"{host}: {repository}: {problem}")
    failed = [{"host": host, "repository": name, "problem": why} for (host, name), why in problems.items()]
    context.answer({"snapshots": [asdict(one) for one in found], "failed": failed}, *table(rows))
    return ExitCode.HOSTS_FAILED if problems else ExitCode.DONE


@backup.command()
@click.argument("host")
@to_option
@common_options
@pass_context
def password(context: Context, host: str, to: str | None) -> None:
    """Print the password of a host's restic repository, for a restore by hand.

    Asks no host, so it also works for a host that is gone.
    """
    from rackwright.fleet.backup_access import password_of

    repository, shown = password_of(context.fleet, host, to)
    if host not in context.fleet.file.hosts:
        context.note(f"{host}: the fleet file doesn't name this host; if it never did, this password opens nothing")
    context.answer({"host": host, "repository": repository, "password": shown.reveal()}, shown.reveal())


def _make(context: Context, verb: Verb, hosts: tuple[str, ...], to: str | None) -> bool:
    """Run it on the hosts, print the results, and return whether one of them isn't good."""
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.backup import make, places
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
