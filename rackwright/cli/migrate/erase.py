"""`rackwright migrate erase`: remove what was recorded."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name")
@click.option("--folder", is_flag=True, help="Also remove the records and answers in the migration's folder.")
@yes_option
@common_options
@pass_context
def erase(context: Context, name: str, folder: bool, yes: bool) -> int:
    """Remove what the gateways have recorded, and list what is left.

    Ends the capture of the migration NAME first. Results and log stay: they have no text of a request. Exit code 3 if
    a gateway can't be asked, or if something is left: run it again.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.erase import erase as carry_out
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session
    from rackwright.report.words import counted

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        erased = carry_out(open_place(session, name, console), folder=folder)
    for host, problem in erased.missed.items():
        context.note(f"{host}: {problem}")
    lines = [f"{host}: lists no recorded request" for host in erased.gateways]
    if folder:
        left = f"it still has {', '.join(erased.left)}" if erased.left else "it lists none"
        lines.append(f"the folder: {counted(erased.files, 'file')} removed; {left}")
    if erased.missed or erased.left:
        lines.append(f"next: rackwright migrate erase {name}{' --folder' if folder else ''}")
    context.answer(erased.model_dump(mode="json"), *lines)
    return ExitCode.HOSTS_FAILED if erased.missed or erased.left else ExitCode.DONE
