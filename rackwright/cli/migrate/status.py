"""`rackwright migrate status`: how far migrations are."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name", required=False)
@common_options
@pass_context
def status(context: Context, name: str | None) -> int:
    """Show how far migrations are, and what comes next.

    For the migration NAME: what was done, by whom and when; which results are stale, and why; files that are missing
    or were changed; and the next command. Without NAME: all migrations. Asks the control hosts, and the gateways for
    requests that a cloud answered in the fleet's place: exit code 12 if there are any in this hour or the one before.
    """
    hosts_needed()
    from rackwright.cli.render.migrate_report.standing_text import standing_document, standing_lines, summary
    from rackwright.lifecycle.migrate.cutover.fallback import fallback_alarms
    from rackwright.lifecycle.migrate.standing import all_standings, standing
    from rackwright.lifecycle.session.lease import control_store

    with control_store(context.fleet) as (store, _):
        found = (standing(context.fleet, store, name),) if name else all_standings(context.fleet, store)
    alarms = fallback_alarms(context.fleet, [one.log for one in found])
    known = {"alarms": [*alarms]}
    if name:
        (one,) = found
        context.answer({"migration": standing_document(one), **known}, *standing_lines(one), *alarms)
    else:
        lines = summary(found) if found else ["no migration yet", "next: rackwright migrate init NAME"]
        context.answer({"migrations": [standing_document(one) for one in found], **known}, *lines, *alarms)
    return ExitCode.NOT_PROVEN if alarms else ExitCode.DONE
