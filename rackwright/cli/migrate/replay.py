"""`rackwright migrate replay`: ask recorded requests again."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--fleet-again",
    is_flag=True,
    help="Remove the fleet's answers and ask it everything again, after a change of its model or settings.",
)
@yes_option
@common_options
@pass_context
def replay(context: Context, name: str, fleet_again: bool, yes: bool) -> None:
    """Ask the cloud and the fleet a sample of the recorded requests.

    The cloud gets each request twice, the fleet once. The cloud charges for that, at most the plan's `replay.budget`
    for all replays and scores of the migration NAME. Shows what it will probably cost, and asks you first. Asks only
    what is missing; Ctrl-C stops it, and the same command goes on, also on another machine that has the folder.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.replay_text import replay_document, replay_lines, stopped_error
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.progress import next_step
    from rackwright.lifecycle.migrate.replay.procedure import replay as ask_again
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        done = ask_again(place, fleet_again=fleet_again)
        next_ = next_step(place)
    lines = replay_lines(done.outcome, done.budget, done.otherwise)
    error = stopped_error(done.outcome, place.plan)
    last = () if error else (f"next: {next_}",)
    context.answer({**replay_document(done.outcome), "next": next_}, *lines, *last)
    if error:
        raise error
