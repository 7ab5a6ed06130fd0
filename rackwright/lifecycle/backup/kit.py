"""Save the kit: the fleet's folder, the CA's key and a list of all other secrets, from this machine.

No lease is taken: restic lets several operators save at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from rackwright.errors import HostError, HostsFailed, Problem, RackwrightError, UsageError
from rackwright.fleet.backup_access import kit_repositories, reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import KIT
from rackwright.fleet.targets import targets
from rackwright.lifecycle.backup.forget_plan import SLACK
from rackwright.lifecycle.backup.kit_content import Staged, staged_kit
from rackwright.lifecycle.backup.kit_repository import Claim, save_kit
from rackwright.lifecycle.backup.restic_here import restic_here
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.operator import operator_of
from rackwright.run import new_run_id
from rackwright.state.applied import Applied
from rackwright.state.audit import Act, write_audit
from rackwright.state.checkout import checkout
from rackwright.state.formats import NewerFormat, utc_now
from rackwright.state.kit import (
    KitRecord,
    KnownKit,
    SavedKit,
    claimed,
    control_time,
    held,
    newest,
    read_kit,
    write_kit,
)
from rackwright.state.shell import Shell
from rackwright.stopping import stoppable

if TYPE_CHECKING:
    from rackwright.remote import Remote


@dataclass(frozen=True)
class Made:
    """The result for one repository."""

    repository: str
    saved: SavedKit | None
    """None: there is no new kit."""
    problem: Problem | None
    """Why there is none, or what else is wrong."""


@dataclass(frozen=True)
class Kits:
    made: tuple[Made, ...]
    left_out: tuple[str, ...] = ()
    no_ca_key: str | None = None
    """Why they don't have the CA's key; None: they have it."""
    unrecorded: tuple[Problem, ...] = ()
    """Control hosts that don't know about them."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What isn't in them although it should be."""
        missing = self.no_ca_key and any(one.saved for one in self.made)
        said = f"the kit has no CA key: {self.no_ca_key}; run rackwright backup kit on a machine that has it"
        return ((said,) if missing else ()) + tuple(f"not in the kit: {name}" for name in self.left_out)

    @property
    def error(self) -> RackwrightError | None:
        """The error to raise; None: every kit was saved and recorded."""
        problems = (*(one.problem for one in self.made if one.problem), *self.unrecorded)
        if not problems:
            return None
        error = HostsFailed("the kit wasn't saved everywhere")
        error.problems = problems
        return error


def repositories_of(fleet: Fleet, to: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the repositories that have a kit, and those that can't have one; `to` limits both to one.

    Raise UsageError if none can have one, or if this fleet saves none.
    """
    backup = fleet.file.backup
    if backup is None:
        raise UsageError("the fleet file sets no backup", where="backup", should="this command needs one")
    names = tuple(asked.name for asked in backup.to)
    if to is not None and to not in names:
        raise UsageError("no repository of that name", where=to, should=f"should be one of {', '.join(names)}")
    if backup.snapshots == "no":
        raise UsageError("is no: no kit is saved", where="backup.snapshots", should="should be yes")
    wanted = tuple(name for name in kit_repositories(fleet) if to in (None, name))
    if not wanted:
        raise UsageError(
            "is on the hosts' own disks, which this machine can't reach",
            where=to or ", ".join(names),
            should="only an sftp or rest repository can have a kit",
        )
    return wanted, tuple(name for name in names if to in (None, name) and name not in wanted)


def save_kits(fleet: Fleet, remote: Remote, wanted: Sequence[str], console: Console) -> Kits:
    """Save the kit to these repositories and record it on the control hosts. Ctrl-C stops between two repositories.

    Raise LeasedError if these files lack what was applied last, RackwrightError if they can't be read, or if this
    machine's clock isn't the control host's.
    """
    known, asked = _known(fleet, remote)
    controls = tuple(map(remote.connection, asked))
    for control in controls[:1]:
        _refuse_wrong_clock(control)
    run = held(_applied(fleet, remote), checkout(fleet), fleet) if controls else None
    who = operator_of(fleet, *controls).who
    claim = partial(claimed, controls[0]) if controls else None
    with staged_kit(fleet, who) as staged, stoppable(console.heard) as stopping:
        made = tuple(
            Made(name, None, Problem(f"kit at {name}", "interrupted", next="rackwright backup kit"))
            if stopping()
            else _made(fleet, name, staged, known.record.at.get(name), run, claim, console)
            for name in wanted
        )
    unrecorded = _recorded(fleet, remote, known.record, made, who)
    return Kits(made, staged.contents.left_out, staged.no_ca_key, unrecorded)


def _refuse_wrong_clock(control: Shell) -> None:
    """Raise RackwrightError if this clock is wrong: among kits with other dates, a restore would choose wrongly."""
    ahead = utc_now() - control_time(control)
    if abs(ahead) > SLACK:
        minutes = abs(ahead) // timedelta(minutes=1)
        side = "ahead of" if ahead > timedelta() else "behind"
        raise RackwrightError(
            f"this machine's clock is {minutes} min {side} {control.name}'s",
            where="clock",
            should="a kit's date decides which one a restore takes",
            next="timedatectl, correct the wrong clock, then rackwright backup kit",
        )


def _applied(fleet: Fleet, remote: Remote) -> Applied | None:
    """Return what was applied last; None: nothing, or its record is damaged. A kit can be saved all the same."""
    try:
        return last_applied(remote, fleet)
    except NewerFormat:
        raise
    except RackwrightError:
        return None


def _known(fleet: Fleet, remote: Remote) -> tuple[KnownKit, tuple[str, ...]]:
    """Return what the control hosts know, and those that could be asked."""
    found: dict[str, KnownKit] = {}

    def ask(name: str) -> None:
        try:
            found[name] = read_kit(remote.connection(name))
        except HostError:
            return

    remote.each(fleet.control, ask)
    asked = tuple(name for name in fleet.control if name in found)
    return newest([found[name] for name in asked]), asked


def _made(
    fleet: Fleet,
    name: str,
    staged: Staged,
    before: SavedKit | None,
    run: str | None,
    claim: Claim | None,
    console: Console,
) -> Made:
    what, keep = f"kit at {name}", timedelta(seconds=fleet.file.backup.keep_within if fleet.file.backup else 0)
    console.say(f"{what}: {staged.contents.files + 1} files")
    try:
        settings, access = reached_from_here(fleet, KIT, name)
        with restic_here(settings, access) as restic:
            done = save_kit(
                restic,
                staged,
                known=before.repository if before else None,
                claim=claim,
                keep=None if settings.append_only else keep,
            )
    except RackwrightError as error:
        problem = error.problems[0]
        console.say(f"{what}: {problem.what}")
        following = problem.next or f"rackwright backup kit --to {name}"
        return Made(name, None, replace(problem, where=what, next=following) if problem.where == name else problem)
    with_key = staged.no_ca_key is None
    saved = SavedKit(
        repository=done.repository,
        snapshot=done.snapshot,
        when=staged.contents.when,
        files=done.files,
        bytes=done.bytes,
        digest=staged.digest,
        applied=run,
        with_ca_key=with_key,
        last_with_ca_key=staged.contents.when if with_key else before and before.last_with_ca_key,
    )
    console.say(f"{what}: {done.problem or 'done'}")
    return Made(name, saved, Problem(what, done.problem) if done.problem else None)


def _recorded(fleet: Fleet, remote: Remote, before: KitRecord, made: Sequence[Made], who: str) -> tuple[Problem, ...]:
    """Record the kits, and that they were tried, on the control hosts; return which of those could not be written."""
    record = KitRecord(at={**before.at, **{one.repository: one.saved for one in made if one.saved}})
    problems: list[Problem] = []
    acts = [_act(one, who) for one in made]

    def write(name: str) -> None:
        shell = remote.connection(name)
        try:
            if any(one.saved for one in made):
                write_kit(shell, record)
            for act in acts:
                write_audit(shell, act)
        except HostError as error:
            what = f"the kit isn't recorded: {error.problems[0].what}"
            problems.append(Problem(name, what, next="rackwright backup kit"))

    remote.each(fleet.control, write)
    return tuple(problems)


def _act(made: Made, who: str) -> Act:
    outcome = made.problem.what if made.problem else "done"
    what = f"kit at {made.repository}"
    return Act(time=utc_now(), operator=who, run=new_run_id(), command="backup kit", what=what, outcome=outcome)


def refreshed(fleet: Fleet, remote: Remote, wanted: Sequence[str], console: Console) -> RackwrightError | None:
    """Save the kit after another command; say what it lacks. Return the error to raise when that command is done."""
    try:
        kits = save_kits(fleet, remote, wanted, console)
    except RackwrightError as error:
        return error
    for warning in kits.warnings:
        console.say(warning)
    return kits.error


def refresh(fleet: Fleet, console: Console) -> RackwrightError | None:
    """Save the kit to every repository that has one, as `refreshed` does, over connections of its own."""
    from rackwright.remote import Remote

    wanted = kit_repositories(fleet)
    if not wanted:
        return None
    with Remote(targets(fleet, fleet.control)) as remote:
        return refreshed(fleet, remote, wanted, console)
