"""`migrate cutover --fallback-only`: the gateways allow the plan's fallback, and the share stays."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.lifecycle.migrate.cutover.fallback import cap_words
from rackwright.lifecycle.migrate.cutover.ready import Preview, preview, refuse
from rackwright.lifecycle.migrate.cutover.shares import Shares
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.rollout.change import Clock
from rackwright.migrate.cutover.fallback_cap import falls_of
from rackwright.migrate.cutover.state import CutoverState


def change_fallback(place: Place, clock: Clock) -> Preview:
    """Let the gateways allow the fallback that the plan has, after the operator has agreed; the share stays.

    Raise UsageError if the fleet has no share, or if a change of it isn't complete; RackwrightError if the plan's
    fallback can't be computed; HostError with each gateway that doesn't have it then.
    """
    shares = Shares(place, clock)
    found = preview(place, shares.look(), None, resume=True)
    state, words = found.cutting.state, cap_words(found.fallback)
    _refuse_moving(state, place.plan.migration)
    # Ending it needs nothing.
    if place.plan.cutover.fallback:
        refuse(found.problems, place)
    place.console.confirm(f"At every gateway: {words}?")
    with place.noting("cutover") as note:
        note(f"{words}; the share stays", state.model_copy(update={"fallback": found.fallback}))
        shares.give(state.share, state.change, state.change, falls_of(found.fallback))
    return preview(place, shares.look(), None, resume=True)


def _refuse_moving(state: CutoverState, name: str) -> None:
    if not state.under_way:
        raise UsageError("no cutover is under way", where=name, next=f"rackwright migrate cutover {name}")
    if state.phase == "going":
        what = f"the share is on its way to {state.share:g} %"
        raise UsageError(what, where=name, next=f"rackwright migrate cutover {name} --execute, which completes that")
