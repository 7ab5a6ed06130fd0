"""`rackwright migrate status`: how far migrations are."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context


@click.command(cls=Command)
@click.argument("name", required=False)
@common_options
@pass_context
def status(context: Context, name: str | None) -> None:
    """Show how far migrations are, and what comes next.

    For the migration NAME: what was done, by whom and when; which results are stale, and why; files that are missing
    or were changed; and the next command. Without NAME: all migrations. Asks only the control hosts.
    """
    hosts_needed()
    from rackwright.cli.render.migrate_report.standing_text import standing_document, standing_lines, summary
    from rackwright.lifecycle.migrate.standing import all_standings, standing
    from rackwright.lifecycle.session.lease import control_store

    with control_store(context.fleet) as (store, _):
        if name:
            one = standing(context.fleet, store, name)
            context.answer({"migration": standing_document(one)}, *standing_lines(one))
            return
        found = all_standings(context.fleet, store)
    lines = summary(found) if found else ["no migration yet", "next: rackwright migrate init NAME"]
    context.answer({"migrations": [standing_document(one) for one in found]}, *lines)
