"""What the schedules run: the same procedures as `patch run` and `drill run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rackwright.cli.common.console import Console
from rackwright.cli.common.context import Context
from rackwright.fleet.times.occasions import ScheduleName

if TYPE_CHECKING:
    from rackwright.lifecycle.patch.plan import Plan
    from rackwright.lifecycle.schedule.turn import Job, Result, Turn


def jobs_of(context: Context, console: Console) -> Mapping[ScheduleName, Job]:
    """Return the job of each schedule."""
    from rackwright.cli.render.patch_text import patch_text
    from rackwright.fleet.times.zone import zone_of
    from rackwright.lifecycle.schedule.patch_job import PatchJob

    def show(planned: Plan) -> None:
        context.note(*patch_text(planned, zone_of(context.fleet)))

    def drill(turn: Turn) -> Result:
        return _drill(context, console, turn)

    return {"patch": PatchJob(context.fleet, show, console.on_step), "drill": drill}


def _drill(context: Context, console: Console, turn: Turn) -> Result:
    """Make the drill that the fleet file asks for."""
    from rackwright.cli.drill.run import Asked, problems_of, sealed
    from rackwright.lifecycle.drill.scope import drill_of
    from rackwright.lifecycle.schedule.turn import Result

    # A lost machine of ours left its drill's scratch hosts; nobody else's drill is disturbed.
    scenario = drill_of(context.fleet).scenario
    found = sealed(Asked(context, scenario, None, turn.resumed, None, console, turn.started, turn.ours))
    if found.doubts:
        return Result(f"drill {found.report.facts.drill} not passed", problems=tuple(problems_of(found)))
    return Result(f"drill {found.report.facts.drill} passed: sha256 {found.sha256}")
