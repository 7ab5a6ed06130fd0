"""What the plan allows the cloud to answer in the fleet's place, and what it has answered so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rackwright.errors import HostError, Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.gateway import Gateways
from rackwright.gateway.fallback_counts import fallbacks_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.capacity.answer_lengths import answer_lengths
from rackwright.migrate.cutover.fallback_cap import FallbackCap, cap_of, inputs_of
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.lines import lines_in
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.remote import Remote
from rackwright.state.migrations import Log
from rackwright.values.text import enumerated


@dataclass(frozen=True)
class Allowed:
    cap: FallbackCap | None = None
    """None: the plan allows none, or it can't be said."""
    problems: tuple[Problem, ...] = ()


def allowed(place: Place, state: CutoverState) -> Allowed:
    """Return what the plan allows.

    If the plan's values are still those of the state's cap, that one holds. Otherwise the recorded requests are read,
    so the migration's folder must be on this machine.
    """
    plan = place.plan
    if plan.cutover.fallback is None:
        return Allowed()
    if state.fallback and state.fallback.inputs == inputs_of(plan):
        return Allowed(state.fallback)
    try:
        place.need_folder()
        requests = (one for _, one in lines_in(place.folder, "requests", RecordedRequest))
        cap, missing = cap_of(plan, requests, answer_lengths(place.folder))
    except RackwrightError as error:
        return Allowed(problems=error.problems)
    where = f"{plan.migration} cutover.fallback"
    record = f"rackwright migrate capture {plan.migration}, or rackwright migrate import {plan.migration} FILE"
    if cap is None:
        what = f"no request for {enumerated(missing)} was recorded, so nobody knows what one costs"
        return Allowed(problems=(Problem(where, what, None, record),))
    if cap.per_hour == 0:
        what = f"{cap.cost_per_hour:g} {cap.currency} an hour don't pay for one request of {cap.each:.4g}"
        return Allowed(problems=(Problem(where, what, "should have a larger cost_per_hour"),))
    return Allowed(cap)


def cap_words(cap: FallbackCap | None) -> str:
    """Return it in one phrase."""
    if cap is None:
        return "no fallback to the cloud"
    return f"fallback to the cloud: at most {cap.per_hour:,} requests an hour"


def fallback_alarms(fleet: Fleet, logs: Iterable[Log]) -> tuple[str, ...]:
    """Return what the gateways say of these migrations' fallbacks in this hour and the one before, or why they don't.

    Gateways are asked only if a migration has had a cutover.
    """
    moved = {log.migration for log in logs if any(entry.step == "cutover" for entry in log.entries)}
    if not fleet.file.clouds or not moved:
        return ()
    with Remote(targets(fleet, fleet.gateways)) as remote:
        try:
            found = fallbacks_of(Gateways(remote, fleet.gateways).fallbacks().values())
        except HostError as error:
            return (f"the gateways can't be asked for fallbacks: {error.problems[0].what}",)
    return tuple(one.alarm for one in found if one.migration in moved and one.alarm)
