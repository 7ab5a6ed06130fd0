"""Score a migration: compare the answers in its folder and both sides' answers to the golden set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from rackwright.errors import RackwrightError
from rackwright.fleet.golden.golden_file import read_golden_set
from rackwright.fleet.golden.golden_set import GoldenSet
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.replay.answered import reading
from rackwright.lifecycle.migrate.score.both_ends import both_ends
from rackwright.lifecycle.migrate.score.golden_cost import GoldenCost
from rackwright.lifecycle.migrate.score.judging import Ask, judge_of
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.price_of import most
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.score.decide import decide
from rackwright.migrate.score.golden_pairs import golden_marks, golden_requests
from rackwright.migrate.score.join import Join
from rackwright.migrate.score.result import Scored
from rackwright.migrate.score.tally import Tally
from rackwright.report.words import counted
from rackwright.values.text import enumerated


def score(place: Place, ends: Callable[[Place], AbstractContextManager[Ask]] = both_ends) -> Scored:
    """Score what was replayed, store the result and return it.

    The operator agrees first if the cloud is to answer a golden set. Raise RackwrightError if they don't, if the
    budget doesn't cover it, if nothing was replayed, if the folder isn't whole or a file in it can't be read,
    FleetError if the golden set isn't valid.
    """
    place.need_folder()
    golden = _golden(place)
    _require_replay(place)
    if golden:
        _agree(place, golden)
    with ends(place) if golden or place.plan.score.judge else nullcontext() as ask:
        tally = _replayed(place, place.folder, ask)
        if golden and ask:
            _add_golden(place, tally, golden, ask)
    found = _decided(place.plan, tally, golden)
    # A golden set is another file: its digest tells whether one was changed between two scores.
    by = f", golden set {golden.digest[:12]}" if golden else ""
    place.note("score", f"{found.word}, {counted(found.requests, 'request')}{by}: {found.why}", found)
    return found


def score_answers(place: Place, folder: Folder, ends: Callable[[Place], AbstractContextManager[Ask]]) -> Scored:
    """Return the score of the answers in this folder, by the plan's thresholds, without the golden set.

    Raise RackwrightError if a file can't be read, or if the judge can't be asked.
    """
    with ends(place) if place.plan.score.judge else nullcontext() as ask:
        return _decided(place.plan, _replayed(place, folder, ask), None)


def _decided(plan: Plan, tally: Tally, golden: GoldenSet | None) -> Scored:
    found = decide(tally, plan.score, golden.digest if golden else None)
    if (judge := plan.score.judge) not in plan.models.values():
        return found
    partial = f"the judge {judge} is a model that is judged, and models prefer answers like their own"
    return found.model_copy(update={"doubts": (*found.doubts, partial)})


def _require_replay(place: Place) -> None:
    name = place.plan.migration
    if not place.folder.of("answers-cloud"):
        raise RackwrightError("nothing was replayed yet", where=name, next=f"rackwright migrate replay {name}")
    replayed = place.result("replay", Outcome)
    if replayed and (models := known_way(place).other_versions(replayed.versions)):
        raise RackwrightError(
            f"the lock has another version of {enumerated(models)} since the replay",
            where=name,
            should="the fleet's answers should be of the version that will answer clients",
            next=f"rackwright migrate replay {name}",
        )


def _agree(place: Place, golden: GoldenSet) -> None:
    """Return when the operator agrees to what the golden set may cost."""
    plan, cost = place.plan, GoldenCost(place)
    asked = [request for model in plan.models for request in golden_requests(golden, model)]
    highest = sum(most(plan, request) for request in asked)
    cost.require(highest)
    place.console.say(
        f"golden set: {counted(len(asked), 'request')} to the cloud {plan.cloud}, at most {highest:.2f} "
        f"{plan.currency}; {cost.left():.2f} of {plan.replay.budget:.2f} {plan.currency} are left"
    )
    place.console.confirm(f"Ask {plan.cloud} the golden set?")


def _replayed(place: Place, folder: Folder, ask: Ask | None) -> Tally:
    judge = judge_of(place, ask, place.console.say) if ask else None
    tally, join = Tally(frozenset(place.plan.models)), Join(reading(folder, known_way(place)))
    unclear = (one for one in join if tally.add(one))
    if judge:
        judge.judge(unclear, tally)
    for _ in unclear:
        # No judge sees these, but they are counted.
        pass
    tally.left_out.update(join.left_out)
    return tally


def _golden(place: Place) -> GoldenSet | None:
    written = place.plan.score.golden
    return read_golden_set(place.session.fleet.at(written)) if written else None


def _add_golden(place: Place, tally: Tally, golden: GoldenSet, ask: Ask) -> None:
    for model in place.plan.models:
        place.console.say(f"both sides answer the golden set as {model}: {len(golden.prompts)} prompts")
        tally.expect("golden", model)
        requests = golden_requests(golden, model)
        found = tuple(golden_marks(golden, model, ask("cloud", requests), ask("fleet", requests)))
        for one in found:
            tally.mark("golden", model, one)
        tally.left_out["the cloud failed a prompt of the golden set"] += len(requests) - len(found)
