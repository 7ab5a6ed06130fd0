"""`rackwright schedule pause` and `resume`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context

if TYPE_CHECKING:
    from rackwright.state.calendar.schedule import Pause

Function = TypeVar("Function", bound=Callable[..., Any])
SCHEDULES = ("patch", "drill")


def name_argument(function: Function) -> Function:
    """Add the schedule's name as the keyword `name`, None for all."""
    return click.argument("name", required=False, type=click.Choice(SCHEDULES))(function)


@click.command(cls=Command)
@name_argument
@click.option(
    "--until",
    "last",
    required=True,
    metavar="DAY",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day of the pause, like 2026-12-24, in the fleet's time zone.",
)
@common_options
@pass_context
def pause(context: Context, name: str | None, last: datetime) -> None:
    """Start nothing until a day has ended. Without NAME, pause all schedules.

    A run that has started goes on. What is due during the pause is skipped: it isn't missed, and isn't caught up.
    """
    hosts_needed()
    from rackwright.lifecycle.schedule.pause import pause as pause_

    pauses = pause_(context.fleet, name, last.date())
    context.answer(_document(pauses), *(f"{one.schedule}: paused until the end of {last:%Y-%m-%d}" for one in pauses))


@click.command(cls=Command)
@name_argument
@common_options
@pass_context
def resume(context: Context, name: str | None) -> None:
    """End a pause. Without NAME, resume all schedules. What was skipped isn't caught up."""
    hosts_needed()
    from rackwright.lifecycle.schedule.pause import resume as resume_

    pauses = resume_(context.fleet, name)
    context.answer(_document(pauses), *(f"{one.schedule}: resumed" for one in pauses))


def _document(pauses: tuple[Pause, ...]) -> Json:
    from rackwright.state.formats import stamp

    return {"pauses": [{"schedule": one.schedule, "until": stamp(one.until)} for one in pauses]}
