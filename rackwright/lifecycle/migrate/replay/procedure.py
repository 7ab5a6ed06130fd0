"""`migrate replay`: ask for agreement, then ask what is missing, and note it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.replay.estimate import estimate
from rackwright.lifecycle.migrate.replay.gateway_lanes import both_lanes, require_client_here
from rackwright.lifecycle.migrate.replay.prepare import Prepared, prepare
from rackwright.lifecycle.migrate.replay.replay import Replay, line_of, outcome_of
from rackwright.lifecycle.migrate.require_ends import require_ends
from rackwright.lifecycle.migrate.spending import spending
from rackwright.lifecycle.migrate.stale import stale
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.file_kind import ANSWERS
from rackwright.report.words import counted

FLEET = ANSWERS["fleet"]


@dataclass(frozen=True)
class Replayed:
    outcome: Outcome
    budget: float
    otherwise: float = 0.0
    """What scores and shadow rounds have cost, from the same budget."""


def replay(place: Place, *, fleet_again: bool = False) -> Replayed:
    """Ask both sides what is missing, within the plan's budget and hours. Every part is noted.

    `fleet_again`: what the fleet has answered before is removed first, and the log says so. The operator agrees
    first, unless nothing is missing. Raise FleetError if a side can't answer one of the plan's
    models, RackwrightError if there is nothing to replay, or if answers or notes can't be written.
    """
    names = require_ends(place.session.fleet, place.plan)
    place.need_folder()
    require_client_here(place.session)
    prepared = _prepared(place)
    if fleet_again and place.folder.of(FLEET):
        prepared = _without_fleets_answers(place)
    if prepared.pending:
        _agree(place, prepared)
        outcome = _asked(place, names, prepared)
    else:
        outcome = _nothing_to_ask(place, prepared)
    return Replayed(outcome, place.plan.replay.budget, prepared.otherwise)


def _prepared(place: Place) -> Prepared:
    return prepare(
        place.plan,
        place.folder,
        place.result("replay", Outcome),
        known_way(place),
        otherwise=spending(place).but("replay"),
        max_request=place.session.fleet.file.gateway.max_request,
    )


def _without_fleets_answers(place: Place) -> Prepared:
    """Remove them if the operator agrees, and note it; return what is to be asked then."""
    removed = counted(sum(one.lines for _, one in place.folder.of(FLEET)), "answer")
    place.console.confirm(f"Remove {removed} of the fleet, and ask for them again?")
    place.folder.remove(FLEET)
    prepared = _prepared(place)
    place.note("replay", f"{removed} of the fleet removed, to ask it again", outcome_of(place.plan, prepared))
    return prepared


def _agree(place: Place, prepared: Prepared) -> None:
    """Return when the operator agrees to what the replay may cost."""
    for line in estimate(place.plan, prepared):
        place.console.say(line)
    place.console.confirm(f"Ask {place.plan.cloud} and the fleet?")


def _asked(place: Place, names: Mapping[str, str], prepared: Prepared) -> Outcome:
    """Ask both sides through the gateways; return what all replays have done then."""

    def note(what: str, outcome: Outcome) -> None:
        place.note("replay", what, outcome)

    with both_lanes(place) as lanes:
        return Replay(place.plan, place.folder, names, lanes, note, place.console.say).run(prepared)


def _nothing_to_ask(place: Place, prepared: Prepared) -> Outcome:
    """Return what replays have done; note it if the log doesn't say it yet."""
    place.console.say("every request of the sample was asked already")
    found = outcome_of(place.plan, prepared)
    if _is_news(place, found):
        place.note("replay", line_of(place.plan, prepared, prepared.spent), found)
    return found


def _is_news(place: Place, found: Outcome) -> bool:
    """Return whether the log doesn't say yet that this sample was asked, by the plan as it is now."""
    before = place.result("replay", Outcome)
    if before is None or not before.done:
        return True
    if (before.sample, before.ends, before.versions) != (found.sample, found.ends, found.versions):
        return True
    return any(one.entry.step == "replay" for one in stale(place.log, place.plan))
