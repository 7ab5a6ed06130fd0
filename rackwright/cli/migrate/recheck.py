"""`rackwright migrate recheck`: whether what was deleted at the provider is still gone."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name")
@common_options
@pass_context
def recheck(context: Context, name: str) -> int:
    """Ask the provider again whether everything that was deleted is still gone.

    Asks for each object, and reads the lists, with the plan's `provider.admin_key`. `status` says when it is due.
    Exit code 12 if something is there again, or if nothing shows that it isn't.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.finish_text import recheck_lines
    from rackwright.lifecycle.migrate.finish.recheck import recheck as carry_out
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        found = carry_out(open_place(session, name, console))
    context.answer(found.model_dump(mode="json"), *recheck_lines(found, name))
    return ExitCode.DONE if found.good else ExitCode.NOT_PROVEN
