"""`rackwright migrate report`: everything about a migration, for people who decide."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError


@click.command(cls=Command)
@click.argument("name")
@html_option("the report, with plots,")
@common_options
@pass_context
def report(context: Context, name: str, html: Path | None) -> int:
    """Show plan, results and log of a migration as Markdown.

    Asks only the control hosts. Exit code 12 if a verdict isn't PASS, if a result is stale, or if something blocks
    the move: a feature that isn't ok, or requests that are too long or too large, without a waiver.
    """
    hosts_needed()
    from rackwright.cli.render.migrate_report.parts import PARTS
    from rackwright.cli.render.migrate_report.report_pages import report_of
    from rackwright.lifecycle.migrate.report_source import reported
    from rackwright.lifecycle.session.lease import control_store

    with control_store(context.fleet) as (store, _):
        found = reported(context.fleet, store, name)
        if found is None:
            raise UsageError(
                "there is no plan of this migration on this machine",
                where=name,
                next=f"rackwright migrate status {name}",
            )
        made = report_of(found, PARTS)
    context.answer(made.document(), *made.markdown().splitlines())
    if html:
        write_page(context, html, made.html())
    return ExitCode.DONE if made.good else ExitCode.NOT_PROVEN
