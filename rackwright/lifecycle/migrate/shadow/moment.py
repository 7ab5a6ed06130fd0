"""Since when the requests of a shadow round are, and what is known of that round."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.cutover.standing import cutting_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.shadow_result import Shadowed


@dataclass(frozen=True)
class Moment:
    """When a cutover's step began, or the end of the round before."""

    change: str
    """The cutover's change of the share; "": no cutover is under way."""
    time: float
    """Unix seconds; 0: whatever was recorded."""

    @property
    def name(self) -> str:
        """Return a name for files of the rounds since this moment."""
        return f"{self.change or 'before'}-{int(self.time)}"


def moment_of_step(state: CutoverState) -> Moment:
    """Return when every gateway had the step's share."""
    return Moment(state.change, max(state.since.values()))


def present_moment(place: Place) -> Moment:
    """Return since when the requests of a round should be that begins now.

    Raise RackwrightError if the cutover has passed its last step, or is changing the share.
    """
    state, name = cutting_of(place).state, place.plan.migration
    if state.whole:
        raise RackwrightError("the cutover has passed its last step, which ends the shadow", where=name)
    if not state.under_way:
        return _after(place.result("shadow", Shadowed))
    if not state.since:
        next_ = f"rackwright migrate cutover {name} --execute"
        raise RackwrightError("a change of the share isn't complete", where=name, next=next_)
    return moment_of_step(state)


def known_round(place: Place, moment: Moment) -> Shadowed | None:
    """Return what the log has of a round since this moment."""
    found = place.result("shadow", Shadowed)
    return found if found and (found.change, found.since) == (moment.change, moment.time) else None


def _after(before: Shadowed | None) -> Moment:
    if before is None:
        return Moment("", 0.0)
    return Moment("", before.until) if before.scored else Moment(before.change, before.since)
