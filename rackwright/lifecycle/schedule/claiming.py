"""Where a schedule is carried out, and what became of an occasion there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import Schedule, ScheduleName
from rackwright.lifecycle.schedule.due import Due, Here
from rackwright.lifecycle.schedule.turn import Job
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.lease import break_lease
from rackwright.lifecycle.session.operator import operator_of
from rackwright.state.formats import utc_now
from rackwright.state.lease import Lease
from rackwright.state.schedule import State, Try, claim
from rackwright.state.store import ControlStore

if TYPE_CHECKING:
    from rackwright.remote import Connection


@dataclass(frozen=True)
class Ended:
    """What became of an occasion in this run."""

    schedule: ScheduleName
    start: datetime
    state: State
    summary: str


@dataclass(frozen=True)
class Place:
    """Where this runs, and what it asks."""

    fleet: Fleet
    store: ControlStore
    connection: Connection
    """To a control host."""
    here: Here
    console: Console
    jobs: Mapping[ScheduleName, Job]

    def claimed(self, schedule: Schedule, one: Due, state: State) -> Try | None:
        """Claim the try; return None if another machine was first."""
        now = utc_now()
        wanted = Try(
            schedule=schedule.name,
            start=one.occasion.start,
            end=one.occasion.end,
            number=one.number,
            asked=one.asked,
            state=state,
            who=operator_of(self.fleet, self.connection).who,
            process=self.here.process,
            claimed=now,
            alive=now,
            ended=None if state == "running" else now,
            summary=one.why,
            reported=one.what not in ("missed", "lost"),
        )
        return wanted if claim(self.store, wanted) else None

    def break_left(self, lease: Lease | None) -> None:
        """Break the lease that this machine had before it rebooted, if there is one."""
        if lease:
            reason = f"{lease.owner.machine} has rebooted, so nothing works under it"
            break_lease(self.fleet, self.store, self.connection, lease, reason)
