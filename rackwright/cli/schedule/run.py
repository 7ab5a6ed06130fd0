"""`rackwright schedule run`: what the tool's timers start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.schedule.pause import name_argument
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.schedule.claiming import Ended


@click.command(cls=Command)
@name_argument
@common_options
@pass_context
def run(context: Context, name: str | None) -> int:
    """Carry out what is due now. With NAME, carry it out now. Never asks.

    It does only what `unattended.allow` in the fleet file permits. Several machines can run this at the same time:
    one works. It resumes the run of a machine that is gone, and reports what was missed.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.schedule.jobs import jobs_of
    from rackwright.lifecycle.schedule.here import here
    from rackwright.lifecycle.schedule.procedure import run_due, run_now
    from rackwright.lifecycle.tool.unable import failures_reported

    with Console(quiet=context.json, yes=True) as console, here() as me:
        if name:
            ended: tuple[Ended, ...] = (run_now(context.fleet, name, jobs_of(context, console), me, console),)
        else:
            with failures_reported(console):
                ended = run_due(context.fleet, jobs_of(context, console), me, console)
    context.answer({"ended": [_document(one) for one in ended]}, *map(_line, ended), *([] if ended else [_NOTHING]))
    return ExitCode.NOT_PROVEN if any(one.state == "failed" for one in ended) else ExitCode.DONE


_NOTHING = "nothing is due"


def _line(one: Ended) -> str:
    from rackwright.state.formats import stamp

    return f"{one.schedule} at {stamp(one.start)}: {one.state}: {one.summary}"


def _document(one: Ended) -> Json:
    from rackwright.state.formats import stamp

    return {"schedule": one.schedule, "start": stamp(one.start), "state": one.state, "summary": one.summary}
