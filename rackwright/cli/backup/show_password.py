"""`rackwright backup password`: a repository's password, for a restore by hand."""

from __future__ import annotations

import click

from rackwright.cli.backup.options import to_option
from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context


@click.command(cls=Command)
@click.argument("host")
@to_option
@common_options
@pass_context
def password(context: Context, host: str, to: str | None) -> None:
    """Print the password of a host's restic repository, or of the kit's, for a restore by hand.

    HOST is a host's name, or kit. Asks no host, so it also works for a host that is gone.
    """
    from rackwright.fleet.backup_access import kit_repositories, password_of
    from rackwright.fleet.sections.backup import KIT

    repository, shown = password_of(context.fleet, host, to)
    if host == KIT and repository not in kit_repositories(context.fleet):
        context.note(f"{repository} has no kit: it is on the hosts' own disks")
    elif host != KIT and host not in context.fleet.file.hosts:
        context.note(f"{host}: the fleet file doesn't name this host; if it never did, this password opens nothing")
    context.answer({"host": host, "repository": repository, "password": shown.reveal()}, shown.reveal())
