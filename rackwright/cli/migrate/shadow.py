"""`rackwright migrate shadow`: whether the fleet answers as well as the cloud what clients ask at present."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name")
@yes_option
@common_options
@pass_context
def shadow(context: Context, name: str, yes: bool) -> int:
    """Score what clients ask at present, out of their way.

    Fetches what the gateways have recorded since the last round, or since the cutover's step began, asks the cloud
    and the fleet again, and scores the answers. The gateways record requests from then on. Run it daily while the
    cloud answers; a cutover does the same before each larger share. The cloud charges for its answers: shows what is
    left of the budget, and asks first. Exit code 12 unless the result is PASS.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.shadow_text import shadow_lines
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.shadow.procedure import shadow as run
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        found = run(open_place(session, name, console))
    context.answer({"shadow": found.model_dump(mode="json")}, *shadow_lines(found))
    return ExitCode.DONE if found.scored and found.scored.passed else ExitCode.NOT_PROVEN
