"""Which results of a migration are there, which of them hold, and which command comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rackwright.errors import HostError, Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.capture import CaptureResult
from rackwright.lifecycle.migrate.known_way import versions_of
from rackwright.lifecycle.migrate.place import Place, plan_path
from rackwright.lifecycle.migrate.stale import RESULTS, Stale, newest, stale
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.way import way_of
from rackwright.migrate.assessment import Assessed
from rackwright.migrate.capacity.busiest import MEASURABLE
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_keys import key_digests
from rackwright.state.migrations import Entry, Log, Model, newest_result, result_in
from rackwright.state.store import ControlStore
from rackwright.values.text import enumerated


@dataclass(frozen=True)
class ResultState:
    """Whether a result holds."""

    kind: Literal["none", "needs times", "stale", "incomplete", "blocked", "up to date"]
    """needs times: there is none, and can be none without times of arrival; blocked: it is up to date, and something
    blocks the move."""
    why: tuple[str, ...] = ()
    """Why it is stale or incomplete."""
    blocking: int = 0
    """How much blocks the move."""

    @property
    def holds(self) -> bool:
        return self.kind in ("blocked", "up to date")


@dataclass(frozen=True)
class Progress:
    plan: Plan
    log: Log
    stale: tuple[Stale, ...]
    assessed: Assessed | None
    replayed: Outcome | None
    captured: CaptureResult | None = None
    """None: nothing was captured since the last erasure."""
    unplaced: tuple[str, ...] = ()
    """The fleet's models of the plan that have no replica yet."""
    problems: tuple[Problem, ...] = ()
    """Results that are missing or were changed."""

    def state(self, step: str) -> ResultState:
        """Return whether the step's result holds."""
        old = next((one for one in self.stale if one.entry.step == step), None)
        if old:
            return ResultState("stale", old.why)
        if newest(self.log, step) is None:
            return ResultState("needs times" if step == "capacity" and self._untimed else "none")
        if step == "replay" and self.replayed and (why := self.replayed.why_incomplete):
            return ResultState("incomplete", (why,))
        if step == "assess" and self.assessed and (blocking := len(self.assessed.blocking)):
            return ResultState("blocked", blocking=blocking)
        return ResultState("up to date")

    def next(self, path: str, *, then: str = "") -> str:
        """Return the first thing to do.

        `path`: of the plan's file. `then`: what follows when all results hold; "": the report.
        """
        name = self.plan.migration
        for step in RESULTS:
            if (step == "cost" and self.plan.costs is None) or (step == "capacity" and self._untimed):
                continue
            if step != "cost" and self.unplaced:
                return self._place(path)
            entry = newest(self.log, step)
            if entry is None or any(one.entry.step == step for one in self.stale):
                usage = " --usage FILE" if step == "cost" and self._untimed else ""
                return f"rackwright migrate {step} {name}{usage}"
            if step == "assess" and self.assessed and self.assessed.blocking:
                return self._unblock(path)
            if step == "replay" and (more := self._more_to_ask(entry, path)):
                return more
        return then or f"rackwright migrate report {name} --html {name}.html"

    @property
    def _untimed(self) -> bool:
        """Whether too few requests have a time of arrival to measure anything with them."""
        traffic = self.assessed.traffic if self.assessed else None
        return traffic is not None and traffic.requests - traffic.undated < MEASURABLE

    def _place(self, path: str) -> str:
        return (
            f"{_to_place(self.unplaced, path)}; until then: rackwright migrate assess {self.plan.migration} --offline"
        )

    def _unblock(self, path: str) -> str:
        """The clients must change, or the operator must accept it."""
        blocking = self.assessed.waivable if self.assessed else ()
        few = (*blocking[:3], f"{len(blocking) - 3} more") if len(blocking) > 4 else blocking
        return (
            f"add waivers for {enumerated(few)} to {path}, or change the clients and record again; then rackwright "
            f"migrate assess {self.plan.migration}"
        )

    def _more_to_ask(self, entry: Entry, path: str) -> str:
        """Return how the replay goes on; "": all was asked, or a score can use what the budget was enough for."""
        if self.replayed is None or self.replayed.done:
            return ""
        again, stopped = f"rackwright migrate replay {self.plan.migration}", self.replayed.stopped
        same_budget = entry.keys.get("replay.budget") == key_digests(self.plan).get("replay.budget")
        if stopped is None or stopped.kind != "budget" or not same_budget:
            return again
        return "" if self.replayed.can_be_scored else f"raise replay.budget in {path}, then {again}"


def next_offline(fleet: Fleet, plan: Plan) -> str:
    """Return what to do before the fleet can be asked, or the command that asks it."""
    unplaced, command = _unplaced(fleet, plan), f"rackwright migrate assess {plan.migration}"
    return f"{_to_place(unplaced, str(fleet.path))}, then {command}" if unplaced else command


def next_step(place: Place) -> str:
    """Return the first thing to do after what this command has done."""
    session = place.session
    found = progress(session.fleet, place.plan, place.log, session.store)
    return found.next(str(plan_path(session.fleet, place.plan.migration)))


def progress(fleet: Fleet, plan: Plan, log: Log, store: ControlStore) -> Progress:
    """Return how far the migration is. Results that can't be read are problems, and count as stale."""
    problems: list[Problem] = []
    unread: list[Stale] = []

    def read(step: str, kind: type[Model]) -> Model | None:
        entry = newest_result(log, step)
        try:
            return result_in(store, entry, kind) if entry else None
        except HostError:
            raise
        except RackwrightError as error:
            problems.extend(error.problems)
            unread.extend([Stale(entry, ("its result can't be read",))] if entry else [])
            return None

    assessed, replayed = read("assess", Assessed), read("replay", Outcome)
    known = {one.entry.number for one in unread}
    old = [*unread, *(one for one in stale(log, plan) if one.entry.number not in known)]
    if changed := _asked_otherwise(fleet, plan, log, assessed, replayed, old):
        old.append(changed)
    last = next((one.step for one in reversed(log.entries) if one.step in ("capture", "erase")), "")
    captured = read("capture", CaptureResult) if last == "capture" else None
    return Progress(plan, log, tuple(old), assessed, replayed, captured, _unplaced(fleet, plan), tuple(problems))


def _unplaced(fleet: Fleet, plan: Plan) -> tuple[str, ...]:
    models = dict.fromkeys(plan.models.values())
    return tuple(one for one in models if one not in fleet.file.models or not fleet.replicas_of(one))


def _to_place(models: tuple[str, ...], path: str) -> str:
    fleet_file = path.partition(".migrate-")[0].removesuffix(".yml")
    return (
        f"give {enumerated(models)} a source, a runtime, a place and a context in {fleet_file}.yml, then "
        "rackwright apply"
    )


def _asked_otherwise(
    fleet: Fleet, plan: Plan, log: Log, assessed: Assessed | None, replayed: Outcome | None, old: list[Stale]
) -> Stale | None:
    """Return the replay if it was made with other changes to requests, or other versions of the fleet's models."""
    entry = newest(log, "replay")
    if entry is None or replayed is None or any(one.entry.step == "replay" for one in old):
        return None
    way, why = way_of(plan, assessed, versions_of(fleet)), []
    if set(replayed.ends) != set(way.ends):
        why.append("the newest assessment changes requests to the fleet differently")
    why.extend(f"the lock has another version of {model}" for model in way.other_versions(replayed.versions))
    return Stale(entry, tuple(why)) if why else None
