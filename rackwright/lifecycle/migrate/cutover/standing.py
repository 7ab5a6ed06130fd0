"""How far a migration's cutover is, by its log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.migrate.plan.plan import Plan
from rackwright.state.migrations import Entry, Log, Step, result_in
from rackwright.state.store import ControlStore

NONE = CutoverState(phase="back", share=0)
STEPS: tuple[Step, ...] = ("cutover", "rollback", "pause")


@dataclass(frozen=True)
class Cutting:
    """What the log says of a cutover."""

    state: CutoverState = NONE
    """The newest; as after a rollback if it never began."""
    paused: Entry | None = None
    """Who paused it, if nothing came after it."""
    entry: Entry | None = None
    """The one that the state is from; None: the cutover never began."""
    reviewed: bool = False
    """Whether a review came after it."""

    @property
    def since(self) -> datetime | None:
        """When the last gateway got the present share, by its clock; else when the state was noted."""
        if self.state.since and self.state.under_way:
            return datetime.fromtimestamp(max(self.state.since.values()), UTC)
        return self.entry.time if self.entry else None

    def to_come(self, plan: Plan) -> tuple[float, ...]:
        """Return the plan's shares whose gates have not passed yet, in this run of the cutover."""
        reached = self.state.share if self.state.phase == "passed" else 0
        least = self.state.share if self.state.under_way else 0
        return tuple(share for share in plan.cutover.share if share >= least and share > reached)

    def next(self, plan: Plan) -> str:
        """Return the command that goes on with the cutover; "": it never began."""
        name, state = plan.migration, self.state
        if self.entry is None:
            return ""
        if self.paused:
            return f"rackwright migrate resume {name}"
        if state.whole:
            return f"rackwright migrate {'finish' if self.reviewed else 'review'} {name}"
        if state.under_way and self.to_come(plan) == (WHOLE,) and not state.tried_back:
            return f"rackwright migrate rollback {name}: the way back must be tried before {WHOLE:g} %"
        return f"rackwright migrate cutover {name}{' --execute' if state.under_way else ''}"


def cutting(store: ControlStore, log: Log) -> Cutting:
    """Return how far the cutover is. Raise RackwrightError if its result is missing or was changed."""
    entries = [one for one in log.entries if one.step in STEPS]
    newest = next((one for one in reversed(entries) if one.result), None)
    paused = entries[-1] if entries and entries[-1].step == "pause" else None
    if newest is None:
        return Cutting(paused=paused)
    reviewed = any(one.step == "review" for one in log.entries[newest.number :])
    return Cutting(result_in(store, newest, CutoverState), paused, newest, reviewed)


def beginning(log: Log) -> Entry | None:
    """Return the entry with which the cutover began, or began again after a rollback; None: it didn't."""
    last = next((entry.number for entry in reversed(log.entries) if entry.step == "rollback"), 0)
    return next((entry for entry in log.entries[last:] if entry.step == "cutover"), None)


def cutting_of(place: Place) -> Cutting:
    return cutting(place.session.store, place.log)
