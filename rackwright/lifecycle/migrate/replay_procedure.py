"""`migrate replay`: ask for agreement, then ask what is missing, and note it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from rackwright.errors import RackwrightError
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.migrate.answered import KINDS
from rackwright.lifecycle.migrate.gateway_lanes import Hours, lane_to, require_client_here
from rackwright.lifecycle.migrate.known_way import known_way, spent_by_scores
from rackwright.lifecycle.migrate.lane import Pace
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.prepare import Prepared, prepare, require_ends
from rackwright.lifecycle.migrate.replay import Note, Replay, line_of, outcome_of
from rackwright.lifecycle.migrate.stale import stale
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.way import Way
from rackwright.migrate.plan.plan import Plan
from rackwright.report.words import counted
from rackwright.stopping import stoppable

FLEET = KINDS["fleet"]


@dataclass(frozen=True)
class Replayed:
    outcome: Outcome
    budget: float
    by_scores: float = 0.0
    """What scores have cost, from the same budget."""

    def error(self, name: str) -> RackwrightError | None:
        """Return why the replay ended early, None if it didn't."""
        if not self.outcome.stopped:
            return None
        used_up = "budget" in self.outcome.stopped
        should = "replay.budget of the plan covers no further request" if used_up else "what was answered is kept"
        return RackwrightError(
            f"the replay stopped: {self.outcome.stopped}",
            where=name,
            should=should,
            next=f"rackwright migrate {'score' if used_up else 'replay'} {name}",
        )


def replay(place: Place, *, fleet_again: bool = False) -> Replayed:
    """Ask both sides what is missing, within the plan's budget and hours. Every part is noted.

    `fleet_again`: what the fleet has answered before is removed first, and the log says so. The operator agrees
    first, unless nothing is missing. Raise FleetError if a side can't answer one of the plan's
    models, RackwrightError if there is nothing to replay, or if answers or notes can't be written.
    """
    console = place.console
    names = require_ends(place.session.fleet, place.plan)
    place.need_folder()
    require_client_here(place.session)
    before = place.result("replay", Outcome)
    way, by_scores = known_way(place), spent_by_scores(place).all
    if fleet_again and (answers := place.folder.of(FLEET)):
        count = sum(one.lines for _, one in answers)
        console.confirm(f"Remove {counted(count, 'answer')} of the fleet, and ask for them again?")
        place.folder.remove(FLEET)
        prepared = _prepared(place, before, way, by_scores)
        before = outcome_of(place.plan, way, prepared)
        place.note("replay", f"{counted(count, 'answer')} of the fleet removed, to ask it again", before)
    prepared = _prepared(place, before, way, by_scores)
    if not prepared.pending:
        console.say("every request of the sample was asked already")
        found = outcome_of(place.plan, way, prepared)
        if _is_news(place, before, found):
            place.note("replay", line_of(place.plan, prepared, prepared.spent), found)
        return Replayed(found, place.plan.replay.budget, by_scores)
    for line in estimate(place.plan, prepared):
        console.say(line)
    console.confirm(f"Ask {place.plan.cloud} and the fleet?")
    hint = f"check clouds.{place.plan.cloud}.key, then rackwright check"
    hours = Hours(place.plan.replay.hours, zone_of(place.session.fleet), console.say)
    with ExitStack() as stack:
        stopping = stack.enter_context(stoppable(console.heard))
        pace = Pace(stopping=stopping, closed_until=hours.waiter())
        connections = place.plan.replay.concurrency
        cloud = stack.enter_context(lane_to(place.session, "cloud", pace, connections=connections, key_hint=hint))
        fleet = stack.enter_context(lane_to(place.session, "fleet", pace, connections=connections))
        run = Replay(place.plan, place.folder, names, way, cloud, fleet, _noting(place), console.say)
        return Replayed(run.run(prepared), place.plan.replay.budget, by_scores)


def _prepared(place: Place, before: Outcome | None, way: Way, by_scores: float) -> Prepared:
    most = place.session.fleet.file.gateway.max_request
    return prepare(place.plan, place.folder, before, way, by_scores=by_scores, max_request=most)


def _is_news(place: Place, before: Outcome | None, found: Outcome) -> bool:
    """Return whether the log doesn't say yet that this sample was asked, by the plan as it is now."""
    if (
        before is None
        or not before.done
        or (before.sample, before.ends, before.versions)
        != (
            found.sample,
            found.ends,
            found.versions,
        )
    ):
        return True
    return any(one.entry.act == "replay" for one in stale(place.log, place.plan))


def estimate(plan: Plan, prepared: Prepared) -> tuple[str, ...]:
    """Return what will be asked and what it may cost, for the operator."""
    pending, currency = prepared.pending, plan.currency
    asks = sum(map(prepared.asks, pending))
    spent = prepared.spent + prepared.by_scores
    left = max(0.0, plan.replay.budget - spent)
    sample = f"{len(prepared.sample.drawn)} of {prepared.sample.recorded} recorded requests"
    lines = [
        f"sample: {sample}; for {len(pending)} of them, an answer is missing",
        f"the cloud {plan.cloud}: {counted(asks, 'request')}, probably {prepared.usual():.2f} {currency}, at most "
        f"{min(prepared.most(), left):.2f} {currency}",
        f"budget: {spent:.2f} of {plan.replay.budget:.2f} {currency} are spent",
    ]
    if prepared.interrupted:
        lines.append(
            f"an earlier replay was interrupted: {prepared.interrupted:.2f} {currency} count as spent, the most that "
            "its unanswered requests may have cost"
        )
    if plan.replay.hours:
        lines.append(f"hours: {', '.join(map(str, plan.replay.hours))}")
    lines += [f"left out: {count} ({why})" for why, count in prepared.sample.left_out.items()]
    return tuple(lines)


def _noting(place: Place) -> Note:
    def note(what: str, outcome: Outcome) -> None:
        place.note("replay", what, outcome)

    return note
