"""`rackwright backup list`: the snapshots that the repositories have."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import to_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.render.table import table
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.lifecycle.backup.destinations import Place
    from rackwright.lifecycle.backup.snapshots import Listed


@click.command(name="list", cls=Command)
@click.argument("hosts", metavar="[HOST|GROUP|kit]...", nargs=-1)
@to_option
@common_options
@pass_context
def list_(context: Context, hosts: tuple[str, ...], to: str | None) -> int:
    """List the snapshots that the repositories have, with their authors; and the kits, if no host is named.

    It names each snapshot whose author isn't root on its host. Exit code 3 if a repository doesn't answer its host,
    or this machine for the kit.
    """
    hosts_needed()
    from rackwright.report.words import size

    found, problems = _asked(context.fleet, hosts, to)
    rows = [("HOST", "REPOSITORY", "SNAPSHOT", "TIME", "AUTHOR", "FILES", "SIZE")]
    for one in found:
        counted = "-" if one.files is None else str(one.files)
        total = "-" if one.bytes is None else size(one.bytes)
        rows.append((one.host, one.repository, one.id[:8], one.time, one.author, counted, total))
        if one.foreign:
            context.note(f"{one.host}: {one.repository}: {one.id[:8]} is by {one.author}, not by {one.expected}")
    for (host, repository), problem in problems.items():
        context.note(f"{host}: {repository}: {problem}")
    failed = [{"host": host, "repository": name, "problem": why} for (host, name), why in problems.items()]
    context.answer({"snapshots": [asdict(one) for one in found], "failed": failed}, *table(rows))
    return ExitCode.HOSTS_FAILED if problems else ExitCode.DONE


def _asked(fleet: Fleet, names: tuple[str, ...], to: str | None) -> tuple[tuple[Listed, ...], dict[Place, str]]:
    """Ask hosts, and for the kit this machine. The kit comes last."""
    from rackwright.fleet.sections.backup import KIT
    from rackwright.lifecycle.backup.destinations import places
    from rackwright.lifecycle.backup.kit_list import kits_listed
    from rackwright.lifecycle.backup.snapshots import listed
    from rackwright.lifecycle.session.session import open_session

    found: tuple[Listed, ...] = ()
    problems: dict[Place, str] = {}
    hosts = tuple(name for name in names if name != KIT)
    if hosts or not names:
        with open_session(fleet, limit=hosts) as session:
            found, problems = listed(session, places(session, to))
    if KIT in names or not names:
        kits, failed = kits_listed(fleet, to, asked_for=KIT in names)
        found, problems = (*found, *kits), {**problems, **failed}
    return found, problems
