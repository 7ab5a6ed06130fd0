"""`rackwright drill clean`: wipe what killed drills left on scratch hosts."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import ExitCode


@click.command(cls=Command)
@yes_option
@common_options
@pass_context
def clean(context: Context, yes: bool) -> int:
    """Wipe the scratch hosts that a killed drill of this fleet left, and lift their isolation.

    A host without a drill's marker is left alone, and a machine of the fleet is refused. Don't run it while a drill
    runs.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.drill.clean import clean_up

    with Console(quiet=context.json, yes=yes) as console:
        cleaned = clean_up(context.fleet, console)
    context.answer({"wiped": list(cleaned)}, f"wiped: {', '.join(cleaned) or 'none, no host has a drill on it'}")
    return ExitCode.DONE
