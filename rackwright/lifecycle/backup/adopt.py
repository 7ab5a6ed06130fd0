"""Have hosts use repositories that they don't know: those of an earlier host, or others that replaced their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import TypeVar

from pydantic import Field

from rackwright.errors import HostError
from rackwright.lifecycle.backup.destinations import Place
from rackwright.lifecycle.backup.restic_here import NO_REPOSITORY
from rackwright.lifecycle.backup.snapshots import Snapshot, snapshots_through
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.report.words import counted
from rackwright.roles.backup.settings import FOLDER
from rackwright.roles.backup.state import COMMAND, parse
from rackwright.run import new_run_id
from rackwright.state.formats import stamp
from rackwright.state.shell import Shell
from rackwright.values.base import Stored

Result = TypeVar("Result")


class _Config(Stored):
    """restic's `cat config`."""

    id: str = Field(pattern="^[0-9a-f]{8,128}$")


@dataclass(frozen=True)
class Adoption:
    """A repository that a host doesn't use, and could."""

    host: str
    repository: str
    """Its name in the fleet file."""
    id: str | None
    """Of the restic repository that is there; None: there is none, and the host's next run makes one."""
    instead_of: str | None
    """Id of the one that the host has used; None: it has used none."""
    snapshots: int = 0
    newest: Snapshot | None = None

    @property
    def line(self) -> str:
        found = f"repository {self.id[:10]}" if self.id else "no repository, a new one is made"
        if self.id:
            found += f" with {counted(self.snapshots, 'snapshot')}"
        if self.newest:
            found += f", the newest of {stamp(self.newest.time)} by {self.newest.author}"
        used = f"it has used {self.instead_of[:10]}" if self.instead_of else "it has used none yet"
        return f"{self.host} to {self.repository}: {found}; {used}"


def adopt(session: Session, wanted: Sequence[Place], console: Console) -> tuple[Adoption, ...]:
    """Let hosts use the repositories that are in these places, after the operator has seen and confirmed them.

    Return what was adopted; nothing, and without a question, if each host already uses the repository there.
    It is entered in each host's audit log. Raise HostError if one can't be asked or refuses, RackwrightError if the
    operator doesn't agree.
    """
    asked = _each(session, wanted, lambda place: _offered(session, place))
    offered = tuple(one for one in asked if one)
    if not offered:
        console.say("nothing to adopt: each host uses the repository that is there")
        return ()
    for one in offered:
        console.say(one.line)
    console.confirm(f"Adopt {counted(len(offered), 'repository', 'repositories')}?")
    run = new_run_id()
    by_place = {(one.host, one.repository): one for one in offered}
    _each(session, tuple(by_place), lambda place: _adopted(session, by_place[place], run))
    return offered


def adopt_restored(session: Session, host: str) -> tuple[str, ...]:
    """Have a host that has been restored use the repositories with its history that it doesn't know yet.

    Return why it can't use one of them. A repository that replaced one that it knows needs an operator who says so.
    """
    backup = session.hosts[host].backup
    problems = []
    for repository in backup.repositories if backup else ():
        try:
            offered = _offered(session, (host, repository.name))
            if offered and offered.id and offered.instead_of is None:
                adopt_repository(session.remote.connection(host), repository.name, offered.id)
        except HostError as error:
            problems.append(f"{host} to {repository.name}: {error.problems[0].what}")
    return tuple(problems)


def adopt_repository(shell: Shell, name: str, id: str | None, *, instead_of: str | None = None) -> None:
    """Record on the host that it uses the restic repository `id` as its repository `name`, if it does not already.

    `instead_of` is the id of the one that it has used, None if it has used none. With None as `id`, its next run
    makes a repository. It is safe against runs and kills. Raise HostError if the host uses another one than
    `instead_of`, or if a snapshot or check is under way.
    """
    script = f"{FOLDER}/adopt.sh {quote(name)} {quote(id or '')} {quote(instead_of or '')}"
    units = f"rackwright-backup@{name}.service rackwright-backup-check@{name}.service"
    # The failures that systemd remembers are about the refused repository.
    words = f"sh {script} && {{ systemctl reset-failed -q -- {units} || :; }}"
    shell.run(words, timeout=90).check(f"adopting the repository {name}")


def _each(session: Session, wanted: Sequence[Place], work: Callable[[Place], Result]) -> list[Result]:
    """Return the results of the work for each place, all hosts at once. Raise HostError with every problem."""

    def on_host(host: str) -> list[Result]:
        return [work(place) for place in wanted if place[0] == host]

    done = session.remote.each([host for host, _ in wanted], on_host)
    return [one for some in done.values() for one in some]


def _offered(session: Session, place: Place) -> Adoption | None:
    """Return what the host could adopt at this place, None if it uses what is there."""
    host, name = place
    answer = session.remote.connection(host).run(COMMAND).check("asking for the backups' state")
    state = read_answer(host, "the backups' state", parse, answer.stdout).repositories.get(name)
    used = state.id if state else None
    found = _id(session, place)
    if found == used:
        return None
    snapshots = snapshots_through(session, place) if found else ()
    newest = max(snapshots, key=lambda one: one.time, default=None)
    return Adoption(host, name, found, used, len(snapshots), newest)


def _id(session: Session, place: Place) -> str | None:
    """Return the id of the restic repository that is there, None if there is none. Raise HostError if unknown."""
    host, name = place
    backup = session.hosts[host].backup
    mounts = [one.mount for one in (backup.repositories if backup else ()) if one.name == name and one.mount]
    mounted = "".join(f"mountpoint {quote(mount)} >&2 && " for mount in mounts)
    words = f"{mounted}timeout 120 {FOLDER}/restic.sh {quote(name)} cat config --no-lock"
    answer = session.remote.connection(host).run(words, timeout=180)
    if answer.exit_status == NO_REPOSITORY:
        return None
    config = answer.check("asking for the repository").stdout
    return read_answer(host, "the repository's id", _Config.model_validate_json, config).id


def _adopted(session: Session, one: Adoption, run: str) -> None:
    outcome = "done"
    try:
        adopt_repository(session.remote.connection(one.host), one.repository, one.id, instead_of=one.instead_of)
    except HostError as error:
        outcome = f"failed: {error.problems[0].what}"
        raise
    finally:
        what = f"adopted repository {one.id or 'none'} at {one.repository} instead of {one.instead_of or 'none'}"
        note_act(session, one.host, run=run, command="backup run --adopt", what=what, outcome=outcome)
