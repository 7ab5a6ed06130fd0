"""Forget old snapshots in repositories that hosts can only add to. Run where deletions are allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from shlex import quote

from rackwright.errors import ExitCode, HostError, Problem, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.forget_places import Asked, ForgetPlace, forget_places
from rackwright.lifecycle.backup.forget_plan import ForgetPlan, plan_forget
from rackwright.lifecycle.backup.restic_here import NO_REPOSITORY, WRONG_PASSWORD, Restic, restic_here
from rackwright.lifecycle.backup.restic_locks import patiently
from rackwright.lifecycle.backup.snapshot_list import all_snapshots, damaged, snapshot_ids
from rackwright.lifecycle.session.console import Console
from rackwright.remote.completed import Completed
from rackwright.report.words import counted
from rackwright.state.formats import utc_now

DAY = 86400
_IDS_AT_ONCE = 500
"""Linux limits the length of a command."""


class Outcome(StrEnum):
    FORGOTTEN = "forgotten"
    """What was to go is gone, what was to stay is there, and the repository is whole."""
    NOTHING = "nothing"
    """Nothing is old enough."""
    PLANNED = "planned"
    """A rehearsal: nothing was removed."""
    REFUSED = "refused"
    """A snapshot is suspect: nothing was removed."""
    FAILED = "failed"


@dataclass(frozen=True)
class Forgotten:
    """The result for one host's repository."""

    host: str
    repository: str
    outcome: Outcome
    plan: ForgetPlan | None = None
    """None: the repository could not be read."""
    problems: tuple[Problem, ...] = ()


def status_of(results: Sequence[Forgotten]) -> ExitCode:
    """Return the exit code of a command with these results."""
    outcomes = {one.outcome for one in results}
    if Outcome.REFUSED in outcomes:
        return ExitCode.NOT_PROVEN
    return ExitCode.HOSTS_FAILED if Outcome.FAILED in outcomes else ExitCode.DONE


@dataclass(frozen=True)
class _Open:
    """A repository that is being worked on."""

    place: ForgetPlace
    restic: Restic
    plan: ForgetPlan

    def result(self, outcome: Outcome, *problems: Problem) -> Forgotten:
        return Forgotten(self.place.host, self.place.repository.name, outcome, self.plan, problems)


def forget(
    fleet: Fleet,
    asked: Asked,
    console: Console,
    *,
    rehearsed: bool = False,
    clock: Callable[[], datetime] = utc_now,
) -> tuple[Forgotten, ...]:
    """Remove snapshots that are older than their repository's newest one by more than is kept; return the results.

    All repositories are looked at before anything is removed anywhere. Nothing is removed from one with a suspect
    snapshot, or from one that is damaged. `rehearsed`: remove nothing. Raise UsageError if something can't be meant,
    SecretError if a secret doesn't resolve, RackwrightError if the operator doesn't agree.
    """
    places = forget_places(fleet, asked, console)
    keep = _keep(fleet, asked)
    results: list[Forgotten] = []
    with ExitStack() as opened:
        looked: list[_Open] = []
        for place in places:
            found = _looked(opened, place, keep, clock(), optional=asked.kit_may_miss)
            if isinstance(found, _Open):
                looked.append(found)
            elif found:
                results.append(found)
        _show(looked, keep, console)
        due: list[_Open] = []
        for one in looked:
            result = _undue(one, console)
            if result:
                results.append(result)
            else:
                due.append(one)
        if rehearsed:
            results += (one.result(Outcome.PLANNED) for one in due)
        elif due:
            number = sum(len(one.plan.goes) for one in due)
            console.confirm(f"Remove {counted(number, 'snapshot')} for good?")
            results += (_forgotten(one, console) for one in due)
    return tuple(results)


def _keep(fleet: Fleet, asked: Asked) -> timedelta:
    seconds = asked.keep_seconds
    if seconds is None:
        return timedelta(seconds=fleet.file.backup.keep_within if fleet.file.backup else DAY)
    if seconds < DAY:
        raise UsageError("is too short", where="--keep-within", should="should be at least 1d")
    return timedelta(seconds=seconds)


def _looked(
    opened: ExitStack, place: ForgetPlace, keep: timedelta, now: datetime, *, optional: bool
) -> _Open | Forgotten | None:
    """Return the repository with its plan, or why it can't be read; None if it may be missing and is."""
    try:
        restic = opened.enter_context(restic_here(place.repository, place.access))
        restic = replace(restic, where=place.host)
        config = restic("cat", "config", "--no-lock")
        if config.exit_status == NO_REPOSITORY and optional and place.host == KIT:
            return None
        _refuse_unreachable(place, config)
        return _Open(place, restic, plan_forget(place.host, all_snapshots(restic), keep, now))
    except HostError as error:
        return Forgotten(place.host, place.repository.name, Outcome.FAILED, problems=error.problems)


def _refuse_unreachable(place: ForgetPlace, config: Completed) -> None:
    if config.exit_status == NO_REPOSITORY:
        raise HostError(f"there is no repository at {place.repository.url}", where=place.host)
    if config.exit_status == WRONG_PASSWORD:
        raise HostError("wrong password", where=place.host)
    config.check("opening the repository")


def _show(looked: Sequence[_Open], keep: timedelta, console: Console) -> None:
    console.say(f"A snapshot goes if it is at least {_days(keep)} older than the newest one of its repository:")
    for one in looked:
        plan = one.plan
        stay = f"{len(plan.stays)} stay" + (f", of {plan.oldest} to {plan.newest}" if plan.stays else "")
        console.say(f"{one.place.host}: {len(plan.goes)} go, {stay}")
        if plan.late:
            console.say(f"{one.place.host}: its newest snapshot is {_days(plan.late)} old: is it still backed up?")


def _days(time: timedelta) -> str:
    days, rest = divmod(time, timedelta(days=1))
    return f"{days} d" if not rest or days > 2 else f"{time // timedelta(hours=1)} h"


def _undue(one: _Open, console: Console) -> Forgotten | None:
    """Return the result if nothing is to be removed; None if something is, from a repository that is whole."""
    if one.plan.suspects:
        return one.result(Outcome.REFUSED, _suspects(one))
    if not one.plan.goes:
        return one.result(Outcome.NOTHING)
    try:
        _check(one, console)
    except HostError as error:
        return one.result(Outcome.FAILED, *error.problems)
    return None


def _suspects(one: _Open) -> Problem:
    place, first = one.place, one.plan.suspects[0].snapshot.id
    password = quote(f"rackwright backup password {place.host} --to {place.repository.name}")
    return Problem(
        place.host,
        f"has {counted(len(one.plan.suspects), 'suspect snapshot')}, so nothing was removed",
        should="if its host did not make it, an attacker may have; remove it only by its id",
        next=f"RESTIC_PASSWORD_COMMAND={password} restic -r {quote(place.repository.url)} forget {first}",
        listed=tuple(suspect.line for suspect in one.plan.suspects),
    )


def _check(one: _Open, console: Console) -> None:
    """Raise HostError if the structure of the repository is damaged, or if it can't be checked."""
    console.say(f"{one.place.host}: checking the repository")
    done = patiently(one.restic, "check", "-q")
    if not done.ok:
        raise damaged(one.restic, "; ".join(done.last_lines(1)) or f"restic ended with {done.exit_status}")


def _forgotten(one: _Open, console: Console) -> Forgotten:
    """Remove what the plan says, by id: whatever was added since then pushes out nothing. Then prove the result."""
    goes = [snapshot.id for snapshot in one.plan.goes]
    try:
        console.say(f"{one.place.host}: removing {counted(len(goes), 'snapshot')}")
        for start in range(0, len(goes), _IDS_AT_ONCE):
            done = patiently(one.restic, "forget", "-q", *goes[start : start + _IDS_AT_ONCE])
            _prove(one, done, goes[: start + _IDS_AT_ONCE])
        _prove(one, patiently(one.restic, "prune", "-q").check("pruning"), goes)
        _check(one, console)
    except HostError as error:
        return one.result(Outcome.FAILED, *error.problems)
    return one.result(Outcome.FORGOTTEN)


def _prove(one: _Open, done: Completed, gone: Sequence[str]) -> None:
    """Raise HostError unless these snapshots are gone and those that stay are there, whatever restic says."""
    left = snapshot_ids(one.restic)
    if still := left & {*gone}:
        said = "".join(f": {line}" for line in done.last_lines(1))
        raise HostError(
            f"the server refused to delete {counted(len(still), 'snapshot')}{said}",
            where=one.place.host,
            should="--at should name a place where this machine may delete",
        )
    if lost := {snapshot.id for snapshot in one.plan.stays} - left:
        raise HostError(
            f"{counted(len(lost), 'snapshot')} that should stay are gone: did someone else remove them?",
            where=one.place.host,
            next="restic snapshots, and look who else may delete",
        )
    done.check("removing snapshots")
