"""Make snapshots and checks now. Units on the hosts do the work, and continue if rackwright stops watching.

No lease is taken: a timer may start the same unit at any time, and a second start joins the running one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from rackwright.errors import HostError, HostsFailed, Problem, RackwrightError, UsageError
from rackwright.lifecycle.backup.destinations import Place
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.report.words import duration, size
from rackwright.roles.backup.settings import Repository
from rackwright.roles.backup.state import COMMAND, RepositoryState, parse
from rackwright.run import new_run_id
from rackwright.stopping import Stopping, stoppable
from rackwright.values.base import Stored

Verb = Literal["run", "check"]
WORDS: Mapping[Verb, str] = {"run": "snapshot", "check": "check"}
POLL_SECONDS = 1.0

_START = """
systemctl show -P InvocationID -- {unit}
systemctl is-active -q -- {unit} || systemctl reset-failed -q -- {unit}
systemctl start --no-block -- {unit}
"""
# One property per call, because systemctl chooses the order of several. The state comes last: otherwise, a unit that
# starts between the two calls would seem to have ended.
_LOOK = """
for p in InvocationID ActiveState; do systemctl show -P $p -- {unit}; done
tail -n 50 {said} 2>/dev/null | grep '^{{"message_type":"status"' | tail -n 1 | tail -c 2000 | tr -d '\\n'; echo
tail -n 1 {errors} 2>/dev/null | tail -c 400
true
"""
_BUSY = ("activating", "reloading", "deactivating")


@dataclass(frozen=True)
class Made:
    """The result of one snapshot or check."""

    host: str
    repository: str
    state: RepositoryState | None
    """The state that the host recorded afterwards; None: the host could not be asked."""
    problem: str | None
    """Why it failed, or why its result isn't known."""

    @property
    def next(self) -> str | None:
        """The command that helps, if one is known."""
        if not self.problem or not self.state or not self.state.found:
            return None
        adopting = f"rackwright backup run {self.host} --to {self.repository} --adopt"
        # Without a count, the repository replaced the host's own: there is nothing to restore first.
        return f"rackwright restore {self.host}, or {adopting}" if self.state.found.snapshots else adopting


def make(session: Session, verb: Verb, wanted: Sequence[Place], console: Console) -> tuple[Made, ...]:
    """Make a snapshot or a check at each place, all hosts at once, and return the results.

    Each host records it in its audit log. Ctrl-C stops watching; a snapshot or check that was started continues.
    Raise UsageError if the fleet file says that hosts only restore.
    """
    if not any(spec.backup.snapshots for spec in session.hosts.values() if spec.backup):
        raise UsageError("is no: these hosts only restore", where="backup.snapshots", should="should be yes")
    run = new_run_id()
    with stoppable(console.heard) as stopping:
        work = partial(_on_host, session, verb, wanted, console, stopping, run)
        made = session.remote.each([host for host, _ in wanted], work)
    return tuple(one for some in made.values() for one in some)


def make_first(session: Session, wanted: Sequence[Place], console: Console) -> RackwrightError | None:
    """Make the first snapshot at each place; return the error to raise if one failed, None if all succeeded."""
    missed = [made for made in make(session, "run", wanted, console) if made.problem]
    if not missed:
        return None
    error = HostsFailed("some first snapshots are missing")
    error.problems = tuple(
        Problem(
            f"{made.host}: first snapshot to {made.repository}",
            made.problem or "",
            next=made.next or f"rackwright backup run {made.host}",
        )
        for made in missed
    )
    return error


def _on_host(
    session: Session, verb: Verb, wanted: Sequence[Place], console: Console, stopping: Stopping, run: str, host: str
) -> tuple[Made, ...]:
    return tuple(_made(session, verb, place, console, stopping, run) for place in wanted if place[0] == host)


def _made(session: Session, verb: Verb, place: Place, console: Console, stopping: Stopping, run: str) -> Made:
    host, name = place
    what = f"{host}: {WORDS[verb]} at {name}"
    state: RepositoryState | None = None
    try:
        before = _state(session, place)
        problem = _watched(session, verb, place, ResticProgress(console, what), stopping)
        state = _state(session, place)
        problem = problem or _problem(verb, before, state)
    except HostError as error:
        problem = error.problems[0].what
    console.say(f"{what}: {problem or 'done'}")
    note_act(
        session, host, run=run, command=f"backup {verb}", what=f"{WORDS[verb]} at {name}", outcome=problem or "done"
    )
    return Made(host, name, state, problem)


def _state(session: Session, place: Place) -> RepositoryState:
    answer = session.remote.connection(place[0]).run(COMMAND).check("asking for the backups' state")
    (repository,) = (one for one in _repositories(session, place[0]) if one.name == place[1])
    return read_answer(place[0], "the backups' state", parse, answer.stdout).of(repository)


def _repositories(session: Session, host: str) -> tuple[Repository, ...]:
    backup = session.hosts[host].backup
    return backup.repositories if backup else ()


def _watched(session: Session, verb: Verb, place: Place, show: ResticProgress, stopping: Stopping) -> str | None:
    """Start the unit and wait until it ends; return why its end was not awaited, None if it has ended."""
    host, name = place
    (repository,) = (one for one in _repositories(session, host) if one.name == name)
    unit = f"{repository.run_unit if verb == 'run' else repository.check_unit}.service"
    connection = session.remote.connection(host)
    before = connection.run(_START.format(unit=quote(unit))).check(f"starting {unit}").stdout.strip()
    said_by = f"/run/rackwright-backup/{name}"
    look = _LOOK.format(unit=quote(unit), said=quote(f"{said_by}.said"), errors=quote(f"{said_by}.errors"))
    seen_busy = False
    while not stopping():
        asking = f"asking for the state of {unit}"
        invocation, active, *said = read_answer(host, asking, _looked, connection.run(look).check(asking).stdout)
        seen_busy = seen_busy or active in _BUSY
        if active not in _BUSY and (seen_busy or invocation != before):
            return None
        show(*said[:2])
        time.sleep(POLL_SECONDS)
    return f"not awaited; it continues as {unit}"


def _looked(output: str) -> list[str]:
    """Return the lines of _LOOK. Raise ValueError if the first two are missing."""
    lines = output.splitlines()
    if len(lines) < 2:
        raise ValueError("no state, or no invocation")
    return lines


def _problem(verb: Verb, before: RepositoryState, after: RepositoryState) -> str | None:
    """Judge by the state that the host recorded, not by how the unit ended."""
    word = WORDS[verb]
    if failed := [why for why in after.failures if why.startswith(f"the last {word} ")]:
        return failed[0].removeprefix(f"the last {word} failed: ")
    if verb == "run":
        return (
            None if after.snapshot and after.snapshot != before.snapshot else "the unit ended without a new snapshot"
        )
    return None if after.check_at and after.check_at != before.check_at else "the unit ended without a check"


_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Progress(Stored):
    """A line of restic's progress."""

    percent_done: Annotated[float, Field(ge=0, le=1)]
    bytes_done: _Count = 0
    total_bytes: _Count = 0
    seconds_remaining: _Count = 0


class ResticProgress:
    """Prints restic's progress at every tenth, and once why restic tries something again."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what, self._tenth, self._retried = console, what, 0, False

    def __call__(self, line: str = "", error: str = "") -> None:
        if "retrying" in error and not self._retried:
            self._retried = True
            self._console.say(f"{self._what}: {error}")
        try:
            said = _Progress.model_validate_json(line)
        except ValidationError:
            return
        tenth = int(said.percent_done * 10)
        if tenth > self._tenth:
            self._tenth = tenth
            self._console.say(
                f"{self._what}: {size(said.bytes_done)} of {size(said.total_bytes)}"
                + (f", {duration(said.seconds_remaining)} left" if said.seconds_remaining else "")
            )
