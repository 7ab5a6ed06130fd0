"""`rackwright restore`: bring a host's state and weights back from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.terminal import echo

if TYPE_CHECKING:
    from rackwright.lifecycle.restore.plan import RestorePlan

WHAT = ("state", "keys", "models")


@click.command(cls=Command)
@click.argument("hosts", metavar="HOST|GROUP...", nargs=-1, required=True)
@click.option("--at", metavar="TIME|ID", help="The newest snapshot up to this time, or the one with this ID.")
@click.option("--from", "repository", metavar="REPOSITORY", help="Only from this repository of the fleet file.")
@click.option("--what", metavar="PART,...", default=",".join(WHAT), show_default=True, help="Restore only this.")
@click.option(
    "--serving", metavar="HOST", multiple=True, help="Restore this host although it serves; may be repeated."
)
@click.option("--undo", is_flag=True, help="Put back what the last restore replaced.")
@yes_option
@common_options
@pass_context
def restore(
    context: Context,
    hosts: tuple[str, ...],
    at: str | None,
    repository: str | None,
    what: str,
    serving: tuple[str, ...],
    undo: bool,
    yes: bool,
) -> None:
    """Bring a host's state and weights back from a snapshot.

    Shows the plan and asks. Files are restored beside the present ones, validated, and then switched in. Logs are
    merged. A new machine gets the base system first; afterwards, run apply and verify.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.session.session import open_session

    with (
        Console(quiet=context.json, yes=yes) as console,
        open_session(context.fleet, limit=hosts, progress=console.on_step) as session,
    ):
        if undo:
            from rackwright.lifecycle.restore.procedure import undo as put_back

            names = put_back(session, console)
            lines = (f"{host}: put back {', '.join(some)}" for host, some in names.items())
            context.answer({"put_back": {host: [*some] for host, some in names.items()}}, *lines)
            return
        from rackwright.lifecycle.restore.asked import asked_for
        from rackwright.lifecycle.restore.procedure import restore as carry_out

        asked = asked_for(context.fleet, at=at, repository=repository, what=what, serving=serving)
        restored = carry_out(session, asked, console, lambda planned: _show(context, planned))
    documents: list[dict[str, Json]] = [
        {
            "host": one.host,
            "repository": one.repository,
            "snapshot": one.snapshot,
            "state": [*one.parts],
            "models": [*one.models],
            "closed_rollout": one.closed,
        }
        for one in restored
    ]
    context.answer({"restored": documents}, *(line for one in restored for line in one.lines()))


def _show(context: Context, planned: RestorePlan) -> None:
    from rackwright.cli.render.restore_plan import plan_lines

    if not context.json:
        echo(*plan_lines(planned))
