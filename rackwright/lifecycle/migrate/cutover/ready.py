"""What a cutover needs, and what comes next in it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import FleetError, Problem, ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.lifecycle.migrate.cutover.fallback import allowed
from rackwright.lifecycle.migrate.cutover.standing import Cutting, cutting_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.progress import progress
from rackwright.lifecycle.migrate.replay.gateway_lanes import require_client_here
from rackwright.lifecycle.migrate.require_ends import require_ends
from rackwright.migrate.capacity.result import CapacityFound, ModelCapacity
from rackwright.migrate.capacity.sizing import sizing
from rackwright.migrate.cutover.fallback_cap import FallbackCap
from rackwright.migrate.cutover.step_gate import shares_from
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.score.result import Scored
from rackwright.roles.cutover.settings import PANIC
from rackwright.values.text import enumerated


@dataclass(frozen=True)
class Step:
    """A share that is still to come."""

    share: float
    problems: tuple[Problem, ...] = ()
    """Why it can't be given yet."""


@dataclass(frozen=True)
class Preview:
    """What a cutover would do next."""

    cutting: Cutting
    gateways: Mapping[str, GatewayCutover]
    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    """What keeps it from beginning or going on."""
    fallback: FallbackCap | None = None
    """What the plan allows the cloud to answer in the fleet's place; None: nothing."""
    first: float | None = None
    """The share that it was asked to begin with; None: the one that follows from the log."""

    @property
    def fallback_differs(self) -> bool:
        """Whether a gateway with a share allows more or less than the plan."""
        wanted = self.fallback.per_hour if self.fallback else 0
        return any(one.shares and one.fallback != wanted for one in self.gateways.values())


def preview(place: Place, gateways: Mapping[str, GatewayCutover], first: float | None, *, resume: bool) -> Preview:
    """Return what the cutover would do next, with everything that is in its way.

    `first`: the share to begin with; None: the one that follows from the log. `resume`: a pause is over.
    """
    now = cutting_of(place)
    problems = [*_of_fleet(place), *_of_plan(place.plan, now, first), *_of_gateways(place, now, gateways)]
    problems += _of_client(place)
    if not now.state.under_way:
        problems += _of_results(place)
    if now.paused and not resume:
        problems.append(_paused(place, now))
    shares, falls = _shares(place.plan, now, first), allowed(place, now.state)
    problems += falls.problems
    return Preview(
        now, gateways, tuple(_step(place, now, share) for share in shares), tuple(problems), falls.cap, first
    )


def refuse(problems: tuple[Problem, ...], place: Place) -> None:
    """Raise ProofError with all of them, if there are any."""
    if problems:
        where = place.plan.migration
        raise ProofError("the cutover can't go on", where=where).with_problems(problems)


def _shares(plan: Plan, now: Cutting, first: float | None) -> tuple[float, ...]:
    shares, state = plan.cutover.share, now.state
    if first is not None or not state.under_way:
        return shares_from(plan.cutover, first)
    if state.phase == "passed":
        return tuple(share for share in shares if share > state.share)
    return tuple(share for share in shares if share >= state.share)


def _step(place: Place, now: Cutting, share: float) -> Step:
    problems = list(_of_capacity(place, share))
    if share == WHOLE and not now.state.tried_back:
        name = place.plan.migration
        problems.append(
            Problem(
                f"{share:g} %",
                "the way back was not tried in this migration",
                "a rollback must have reached all gateways before all conversations go to the fleet",
                f"rackwright migrate rollback {name}, then rackwright migrate cutover {name} --execute --from SHARE",
            )
        )
    return Step(share, tuple(problems))


def _of_fleet(place: Place) -> Iterator[Problem]:
    fleet, plan = place.session.fleet, place.plan
    try:
        require_ends(fleet, plan)
    except FleetError as error:
        yield from error.problems
        return
    for provided, model in plan.models.items():
        yield from _one_name(fleet, plan, provided, model)


def _one_name(fleet: Fleet, plan: Plan, provided: str, model: str) -> Iterator[Problem]:
    """A name must belong to the model that has the replicas, and that model's requests must go to the cloud now."""
    found, edit = fleet.file.models[model], f"edit {fleet.path}, then rackwright apply"
    if provided not in found.names:
        should = f"{model} should have it in its names, with cloud: {plan.cloud}"
        yield Problem(f"{plan.migration} models.{provided}", f"{provided} isn't a name of {model}", should, edit)
    elif found.cloud != plan.cloud:
        should = f"{model} should have cloud: {plan.cloud}: the cutover gives the fleet its share"
        yield Problem(
            f"{plan.migration} models.{provided}", f"requests for {provided} don't go to the cloud", should, edit
        )


def _of_plan(plan: Plan, now: Cutting, first: float | None) -> Iterator[Problem]:
    shares, listed = plan.cutover.share, enumerated(tuple(f"{share:g}" for share in plan.cutover.share))
    where, state = f"{plan.migration} cutover.share", now.state
    if first is not None and first not in shares:
        yield Problem(where, f"{first:g} % isn't one of the plan's shares", f"should be one of {listed}")
    elif first is not None and not _may_begin(plan, now, first):
        should = "the share before it should have passed in this migration"
        yield Problem(where, f"the cutover can't begin with {first:g} %", should, "the same command without --from")
    if state.under_way and first is None and state.share not in shares:
        yield Problem(
            where,
            f"the fleet has {state.share:g} % now, which isn't one of the plan's shares",
            f"should be one of {listed}",
            f"write {state.share:g} into the plan again, or rackwright migrate rollback {plan.migration}",
        )


def _may_begin(plan: Plan, now: Cutting, first: float) -> bool:
    if now.state.under_way:
        return False
    shares = plan.cutover.share
    place = shares.index(first)
    return place == 0 or bool({first, shares[place - 1]} & {*now.state.passed})


def _of_gateways(place: Place, now: Cutting, gateways: Mapping[str, GatewayCutover]) -> Iterator[Problem]:
    name = place.plan.migration
    for host, one in gateways.items():
        if one.rolled_back and one.record and now.state.under_way:
            yield Problem(
                host,
                f"{one.record.who} has rolled back there: all its requests go to the cloud",
                "the share should be the same at every gateway",
                f"rackwright migrate rollback {name}, then begin again",
            )
        if one.panic:
            yield Problem(
                host,
                "has a panic file: all requests go to the cloud",
                "someone made it to stop the cutover",
                f"find out why, remove {PANIC} on {host}, then the same command again",
            )


def _of_client(place: Place) -> Iterator[Problem]:
    """A gate asks both sides from this machine, for a score of what clients ask at present."""
    try:
        require_client_here(place.session)
    except RackwrightError as error:
        yield from error.problems


def _of_results(place: Place) -> Iterator[Problem]:
    """What was measured must say that the move can be made."""
    plan, session = place.plan, place.session
    found, name = progress(session.fleet, plan, place.log, session.store), place.plan.migration
    for step in ("assess", "replay", "score"):
        state = found.state(step)
        if state.kind != "up to date":
            why = "; ".join(state.why) or {"none": "there is none"}.get(state.kind, f"it is {state.kind}")
            yield Problem(f"{name} {step}", why, "should be up to date", found.next(str(place.session.fleet.path)))
            return
    scored = place.result("score", Scored)
    if scored and scored.word != "PASS":
        yield Problem(
            f"{name} score", f"{scored.word}: {scored.why}", "should be PASS", f"rackwright migrate report {name}"
        )


def _of_capacity(place: Place, share: float) -> Iterator[Problem]:
    """The replicas of the fleet file must carry this share of the peak, by what was measured."""
    measure = f"rackwright migrate capacity {place.plan.migration}"
    found = place.result("capacity", CapacityFound)
    if found is None:
        yield Problem(f"{share:g} %", "no capacity was measured", None, measure)
        return
    for one in found.models:
        there = len(place.session.fleet.replicas_of(one.model))
        needed = replicas_for(one, share)
        if needed is None:
            yield Problem(f"{share:g} %", f"{one.model}: no rate was good", None, measure)
        elif needed > there:
            yield Problem(
                f"{share:g} %",
                f"{one.model} needs {needed} replicas, and the fleet file has {there}",
                "by the measured capacity, with the plan's headroom and spare replicas",
                f"add replicas, then rackwright apply; or {measure}",
            )


def replicas_for(one: ModelCapacity, share: float) -> int | None:
    """Return the replicas for this share of all requests at the peak; None: no rate was good."""
    peak, goodput = one.extrapolated, one.measured.goodput
    if not goodput:
        return None
    return sizing(peak.peak * share / 100, goodput, headroom=peak.headroom, spare=peak.spare, gpus=1).replicas


def _paused(place: Place, now: Cutting) -> Problem:
    entry = now.paused
    who = f"{entry.who} paused it: {entry.what}" if entry else ""
    return Problem(place.plan.migration, who, None, f"rackwright migrate resume {place.plan.migration}")
