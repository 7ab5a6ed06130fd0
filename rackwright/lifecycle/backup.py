"""Make snapshots and checks now. Units on the hosts do the work, and continue if rackwright stops watching.

No lease is taken: a timer may start the same unit at any time, and a second start joins the running one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from rackwright.errors import HostError, HostsFailed, Problem, RackwrightError, UsageError
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.report.words import duration, size
from rackwright.roles.backup.settings import FOLDER, Repository
from rackwright.roles.backup.state import COMMAND, RepositoryState, parse
from rackwright.run import new_run_id
from rackwright.state.formats import stamp
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
# One property per call, because systemctl chooses the order of several.
_LOOK = """
for p in ActiveState InvocationID; do systemctl show -P $p -- {unit}; done
tail -n 1 {said} 2>/dev/null | tail -c 2000; true
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


@dataclass(frozen=True)
class Listed:
    """A snapshot, as its repository lists it."""

    host: str
    repository: str
    id: str
    time: str
    author: str
    """Who made it, as USER@HOST. An attacker who can write to the repository can choose this text."""
    files: int | None
    bytes: int | None

    @property
    def foreign(self) -> bool:
        """Whether its author isn't root on the host that the repository belongs to."""
        return self.author != f"root@{self.host}"


_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Summary(Stored):
    files: _Count | None = Field(None, alias="total_files_processed")
    bytes: _Count | None = Field(None, alias="total_bytes_processed")


class Snapshot(Stored):
    """One snapshot in restic's JSON."""

    id: str
    time: AwareDatetime
    hostname: str
    username: str | None = None
    summary: _Summary | None = None
    """None: an older restic wrote it."""


_SNAPSHOTS = TypeAdapter(tuple[Snapshot, ...] | None)


def parse_snapshots(output: str) -> tuple[Snapshot, ...]:
    """Parse the output of `restic snapshots --json`. Raise ValueError if it is something else."""
    return _SNAPSHOTS.validate_json(output) or ()


Place = tuple[str, str]
"""Host and repository."""


def places(session: Session, to: str | None = None) -> tuple[Place, ...]:
    """Return host and repository of every backup of the session's hosts, or only of those in one repository.

    Raise UsageError if there is none.
    """
    saved = {name: spec.backup.repositories for name, spec in session.hosts.items() if spec.backup}
    if not saved:
        raise UsageError(
            "the fleet file sets no backup for these hosts", where="backup", should="this command needs one"
        )
    known = tuple(dict.fromkeys(repository.name for some in saved.values() for repository in some))
    if to is not None and to not in known:
        raise UsageError("no repository of that name", where=to, should=f"should be one of {', '.join(known)}")
    return tuple(
        (name, repository.name)
        for name, some in saved.items()
        for repository in some
        if to in (None, repository.name)
    )


def make(session: Session, verb: Verb, wanted: Sequence[Place], console: Console) -> tuple[Made, ...]:
    """Make a snapshot or a check at each place, all hosts at once, and return the results.

    Each host records it in its audit log. Ctrl-C stops watching; a snapshot or check that was started continues.
    """
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
            next=f"rackwright backup run {made.host}",
        )
        for made in missed
    )
    return error


def listed(session: Session, wanted: Sequence[Place]) -> tuple[tuple[Listed, ...], dict[Place, str]]:
    """Ask the repositories for their snapshots; return the snapshots, and for each place that failed the reason."""
    found: list[Listed] = []
    problems: dict[Place, str] = {}

    def ask(host: str) -> None:
        for place in (place for place in wanted if place[0] == host):
            try:
                found.extend(_listed(session, place))
            except HostError as error:
                problems[place] = error.problems[0].what

    session.remote.each([host for host, _ in wanted], ask)
    return tuple(sorted(found, key=lambda one: (one.host, one.repository, one.time))), problems


def _listed(session: Session, place: Place) -> Iterator[Listed]:
    host, name = place
    words = f"timeout 120 {FOLDER}/restic.sh {quote(name)} snapshots --json --no-lock"
    answer = session.remote.connection(host).run(words, timeout=180).check("asking the repository")
    snapshots = read_answer(host, "restic's list of snapshots", parse_snapshots, answer.stdout)
    for one in snapshots:
        summary = one.summary or _Summary()
        author = f"{one.username or 'nobody'}@{one.hostname}"
        yield Listed(host, name, one.id, stamp(one.time), author, summary.files, summary.bytes)


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
    look = _LOOK.format(unit=quote(unit), said=quote(f"/run/rackwright-backup/{name}.said"))
    seen_busy = False
    while not stopping():
        asking = f"asking for the state of {unit}"
        active, invocation, *said = read_answer(host, asking, _looked, connection.run(look).check(asking).stdout)
        seen_busy = seen_busy or active in _BUSY
        if active not in _BUSY and (seen_busy or invocation != before):
            return None
        show(said[0] if said else "")
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


class _Progress(Stored):
    """A line of restic's progress."""

    percent_done: Annotated[float, Field(ge=0, le=1)]
    bytes_done: _Count = 0
    total_bytes: _Count = 0
    seconds_remaining: _Count = 0


class ResticProgress:
    """Prints restic's progress at every tenth."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what, self._tenth = console, what, 0

    def __call__(self, line: str) -> None:
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
