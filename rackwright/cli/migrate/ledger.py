"""`rackwright migrate ledger`: whether a gateway lost requests."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.option("--since", metavar="12h|DATE", default="24h", show_default=True, help="Only hours since then (UTC).")
@common_options
@pass_context
def ledger(context: Context, since: str) -> int:
    """Show what the gateways accepted and what became of it, by key and side.

    Counts requests for models that a cloud answers, or answered, of all migrations. A residual is what was accepted,
    isn't running, and isn't in the access log; each one is listed by gateway, key, side and hour. Exit code 12 if
    there is one; otherwise 3 if a gateway can't be asked.
    """
    hosts_needed()
    from rackwright.cli.render.migrate_report.ledger_text import as_text, document
    from rackwright.lifecycle.audit import since as moment
    from rackwright.lifecycle.migrate.ledger import ledger as read

    when = moment(since)
    found = read(context.fleet, when)
    for error in found.unasked.values():
        for problem in error.problems:
            context.note(*problem.lines())
    context.answer(document(found, when), *as_text(found, when))
    if found.residuals:
        return ExitCode.NOT_PROVEN
    return ExitCode.HOSTS_FAILED if found.unasked else ExitCode.DONE
