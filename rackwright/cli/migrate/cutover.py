"""`rackwright migrate cutover` and `resume`: give the fleet a growing share of new conversations."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import UsageError


@click.command(cls=Command)
@click.argument("name")
@click.option("--execute", is_flag=True, help="Carry it out; otherwise it only shows what it would do.")
@click.option(
    "--from", "first", type=float, metavar="SHARE", help="Begin with this share of the plan, after a rollback."
)
@click.option(
    "--fallback-only",
    is_flag=True,
    help="With --execute: let the gateways allow the plan's fallback, or none, and leave the share.",
)
@yes_option
@common_options
@pass_context
def cutover(context: Context, name: str, execute: bool, first: float | None, fallback_only: bool, yes: bool) -> None:
    """Give the fleet a growing share of new conversations.

    Without --execute, shows the share at each gateway, the steps of the plan NAME that are left, and what is in their
    way. With it, goes to the next share, watches it for the plan's time and number of requests, and goes on if the
    gate says PASS; after FAIL the fleet gets the share before. It can take days; Ctrl-C stops it, the share stays,
    and the same command goes on, also on another machine. Exit code 12 if a gate doesn't pass.
    """
    if fallback_only and (first is not None or not execute):
        raise UsageError("--fallback-only goes with --execute, and without --from", where=f"migrate cutover {name}")
    _carry_out(context, name, execute=execute, first=first, resume=False, fallback_only=fallback_only, yes=yes)


@click.command(cls=Command)
@click.argument("name")
@yes_option
@common_options
@pass_context
def resume(context: Context, name: str, yes: bool) -> None:
    """Go on with a cutover that someone paused.

    Does what `migrate cutover NAME --execute` does, after `migrate pause`.
    """
    _carry_out(context, name, execute=True, first=None, resume=True, fallback_only=False, yes=yes)


def _carry_out(
    context: Context,
    name: str,
    *,
    execute: bool,
    first: float | None,
    resume: bool,
    fallback_only: bool,
    yes: bool,
) -> None:
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.cutover_text import preview_document, preview_lines
    from rackwright.lifecycle.migrate.cutover.fallback_only import change_fallback
    from rackwright.lifecycle.migrate.cutover.procedure import cutover as grow
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.rollout.change import SystemClock
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        if fallback_only:
            found = change_fallback(place, SystemClock())
        else:
            found = grow(place, SystemClock(), execute=execute, first=first, resume=resume)
    context.answer(preview_document(found), *preview_lines(found, name, executed=execute))
