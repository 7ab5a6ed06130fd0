"""`rackwright migrate finish`: delete what the provider stores, and remove its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, not_stale_option, pass_context, yes_option
from rackwright.errors import HostsFailed, UsageError

if TYPE_CHECKING:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.apply.plan import Plan
    from rackwright.lifecycle.migrate.finish.ready import Preview
    from rackwright.lifecycle.session.session import Session


@click.command(cls=Command)
@click.argument("name")
@click.option("--execute", is_flag=True, help="Carry it out; otherwise it only shows what it would do.")
@click.option(
    "--ids",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also export and delete the responses and conversations whose ids are in FILE, one in each line.",
)
@click.option("--agree", metavar="NAME", default="", help="The migration's name again: delete without asking.")
@not_stale_option
@yes_option
@common_options
@pass_context
def finish(
    context: Context, name: str, execute: bool, ids: Path | None, agree: str, not_stale: bool, yes: bool
) -> None:
    """Delete what the provider stores, erase what was recorded, and remove the provider's key.

    Without --execute, shows what would be deleted and everything that is in the way. With it: exports what is new,
    verifies the whole export, deletes each exported object at the provider and sees that it is gone, erases recorded
    requests, removes the cloud from the fleet file, and applies that to the gateways. Deletion can't be undone, so
    the command asks for the migration's name; --yes only answers the apply. Ctrl-C stops it, and the same command
    goes on. Exit code 12 if something is in the way, or if the provider still has something that should be gone.
    """
    if agree not in ("", name):
        raise UsageError(f"--agree {agree} isn't the migration's name", should=f"should be {name}")
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.finish_text import preview_document, preview_lines
    from rackwright.lifecycle.migrate.finish import procedure
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    asked = procedure.Asked(ids, agree)
    with Console(quiet=context.json, yes=yes) as console:
        with open_session(context.fleet) as session:
            place = open_place(session, name, console)
            found = procedure.finish(place, asked, execute=execute)
        if execute and found.state and found.state.phase == "removing":
            found = _without_key(context, name, console, not_stale=not_stale)
    context.answer(preview_document(found), *preview_lines(found, name, asked.command(name)))


def _without_key(context: Context, name: str, console: Console, *, not_stale: bool) -> Preview:
    """Apply the fleet file that has no cloud to the gateways, and see that they have no key."""
    from rackwright.fleet.load import load_fleet
    from rackwright.lifecycle.migrate.finish.procedure import complete
    from rackwright.lifecycle.migrate.finish.ready import preview
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    fleet = load_fleet(context.fleet.path)
    with open_session(fleet, limit=tuple(fleet.gateways), progress=console.on_step) as session:
        _apply(context, console, session, not_stale=not_stale)
    with open_session(fleet) as session:
        place = open_place(session, name, console)
        complete(place)
        return preview(place)


def _apply(context: Context, console: Console, session: Session, *, not_stale: bool) -> None:
    """Do what `apply` does, which asks the operator. Raise its error, or HostsFailed."""
    from rackwright.cli.render.plan_text import plan_view
    from rackwright.lifecycle.apply.procedure import apply
    from rackwright.lifecycle.apply.stages import Options

    def show(planned: Plan) -> None:
        context.note(*plan_view(planned, session.fleet.file))

    applied = apply(session, Options(not_stale=not_stale), console, show)
    if error := applied.failure or applied.unsaved:
        raise error
    if applied.run.interrupted or applied.run.failed_hosts:
        raise HostsFailed(
            "the gateways were not all applied",
            where=", ".join(applied.run.failed_hosts),
            next="the same command again",
        )
