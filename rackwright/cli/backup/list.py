"""`rackwright backup list`: the snapshots that the repositories have."""

from __future__ import annotations

from dataclasses import asdict

import click

from rackwright.cli.backup.options import hosts_argument, to_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.render.table import table
from rackwright.errors import ExitCode


@click.command(name="list", cls=Command)
@hosts_argument
@to_option
@common_options
@pass_context
def list_(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """List the snapshots that the repositories have, with their authors.

    It names each snapshot whose author isn't root on its host. Exit code 3 if a repository doesn't answer its host.
    """
    hosts_needed()
    from rackwright.lifecycle.backup.places import places
    from rackwright.lifecycle.backup.snapshots import listed
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
