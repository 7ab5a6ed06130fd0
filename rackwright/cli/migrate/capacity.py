"""`rackwright migrate capacity`: how many replicas and GPUs the recorded traffic needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.migrate.capacity.result import CapacityFound


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--replica", metavar="HOST/MODEL@N", help="Measure this replica; otherwise the first one of each model."
)
@click.option(
    "--seconds",
    type=click.IntRange(10, 600),
    default=60,
    show_default=True,
    help="The shortest time at each rate; below 60, a slowly growing queue doesn't show.",
)
@common_options
@pass_context
def capacity(context: Context, name: str, replica: str | None, seconds: int) -> int:
    """Measure one replica with recorded traffic, and compute how many you need.

    Replays the requests of the busiest time to one replica at several rates, and finds the highest that meets the
    model's objectives. Clients' requests compete with this load. Replicas and GPUs are computed from that rate and
    the peak of all clients. Exit code 12 if the fleet file has fewer replicas, or if a cache is too small.
    """
    hosts_needed()
    found, next_ = _found(context, name, replica, seconds)
    from rackwright.cli.render.migrate_report.capacity_text import as_text

    context.answer(
        {"capacity": found.model_dump(mode="json"), "met": found.met, "next": next_},
        *as_text(found),
        f"next: {next_}",
    )
    return ExitCode.DONE if found.met else ExitCode.NOT_PROVEN


def _found(context: Context, name: str, replica: str | None, seconds: int) -> tuple[CapacityFound, str]:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.capacity.procedure import capacity as measure
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.progress import next_step
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        return measure(place, console.say, replica, seconds=seconds), next_step(place)
