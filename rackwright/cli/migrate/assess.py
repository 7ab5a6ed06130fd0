"""`rackwright migrate assess`: what would change for clients, and what is stored at the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.migrate.assessment import Assessed


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--offline",
    is_flag=True,
    help="Read only the records, and what is known of the runtimes; ask no host and no provider.",
)
@common_options
@pass_context
def assess(context: Context, name: str, offline: bool) -> int:
    """Show what recorded requests use, and whether the fleet can do it.

    Tries each feature in use on the fleet's own model. Also lists what is stored at the provider, and until when it
    offers the models. Exit code 12 if something blocks the move: a feature that isn't ok, or requests that are too
    long or too large, without a waiver.
    """
    from rackwright.cli.render.migrate_report.assess_text import assess_document, assess_lines

    found, next_ = _offline(context, name) if offline else _assessed(context, name)
    context.answer({**assess_document(found), "next": next_}, *assess_lines(found), f"next: {next_}")
    return ExitCode.NOT_PROVEN if found.blocking else ExitCode.DONE


def _assessed(context: Context, name: str) -> tuple[Assessed, str]:
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.assess import assess as assess_all
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.progress import next_step
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        return assess_all(place), next_step(place)


def _offline(context: Context, name: str) -> tuple[Assessed, str]:
    from rackwright.lifecycle.migrate.assess import assess_offline
    from rackwright.lifecycle.migrate.place import plan_and_folder
    from rackwright.lifecycle.migrate.progress import next_offline

    plan, folder = plan_and_folder(context.fleet, name)
    folder.on_refused = lambda problem: context.note(f"left out: {problem}")
    return assess_offline(context.fleet, plan, folder), next_offline(context.fleet, plan)
