"""A migration as a command finds it: plan and folder on this machine, log and results on the control hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from rackwright.errors import FleetError, LeasedError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.migrate.log_entry import entry_after
from rackwright.lifecycle.migrate.same_folder import Known, known, mark, refuse_absent, refuse_other
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_file import NAME, plan_file, read_plan
from rackwright.migrate.plan.plan_keys import key_digests, plan_digest
from rackwright.state.lease import LeaseTaken
from rackwright.state.lease_session import LeaseSession
from rackwright.state.migrations import Entry, Log, Model, Step, add, newest_result, read_log, result_in
from rackwright.values.base import Stored

__all__ = ["Step", "Entry", "Place", "open_place", "plan_path"]
LEASE_WAIT = 300.0
"""Seconds for which a note waits for another operator's lease: a replay of hours shouldn't be refused for one."""
POLL_SECONDS = 5.0


class Note(Protocol):
    def __call__(self, what: str, result: Stored | None = None) -> None:
        """Add an entry to the log, with its result."""


@dataclass
class Place:
    """A migration, as this command found it."""

    session: Session
    plan: Plan
    folder: Folder
    """The private key is resolved when a file is first read."""
    log: Log
    """As this command read or wrote it last."""
    console: Console
    """Shows what takes long, and asks the operator."""
    minds: frozenset[Step] | None = None
    """The steps that nobody else may add while this command works; None: any."""

    def note(self, step: Step, what: str, result: Stored | None = None) -> None:
        """Store the result, add an entry to the log, and write an audit line on the control hosts.

        The lease is taken only for this moment; another operator's is waited for. `what`: one line of at most 1,000
        characters. Raise LeasedError if it isn't free in time, or if another machine has added an entry since this
        place was opened; RackwrightError if this machine's folder isn't the one that the log knows; HostError if no
        control host answers. Then everything in the folder stays, and the same command goes on.
        """
        with self.noting(step) as note:
            note(what, result)

    @contextmanager
    def noting(self, step: Step) -> Iterator[Note]:
        """Have the lease during the block, for an act that is in the log before and after. Raise as `note` does."""
        with self._leased(f"migrate {step} {self.plan.migration}") as lease_session:

            def note(what: str, result: Stored | None = None) -> None:
                lease_session.check()
                text = result.model_dump_json(indent=1) + "\n" if result else None
                self._refuse_moved(read_log(self.session.store, self.plan.migration))
                refuse_other(self.folder, self.log)
                if not self.log.entries and step != "init":
                    self._add("init", "the migration's log begins", None)
                self._add(step, what, text)
                note_leased_act(self.session, lease_session, self.session.fleet.control, f"{step}: {what}")
                mark(self.folder, self.log)

            yield note

    def need_folder(self) -> None:
        """Raise RackwrightError unless the whole folder that the log knows is on this machine, unchanged."""
        refuse_absent(self.folder, self.log)

    def result(self, step: Step, kind: type[Model]) -> Model | None:
        """Return the newest stored result of the step, None if there is none.

        Raise RackwrightError if it is missing or was changed.
        """
        found = newest_result(self.log, step)
        return result_in(self.session.store, found, kind) if found else None

    def entries(self) -> tuple[Entry, ...]:
        """Return the log, oldest first."""
        return self.log.entries

    def _add(self, step: Step, what: str, result: str | None) -> None:
        entry = self._entry(step, what, result)
        found = add(self.session.store, self.log, entry, result)
        while found.entries[-1] != entry:
            self._follow(found)
            entry = self._entry(step, what, result)
            found = add(self.session.store, self.log, entry, result)
        self.log = found

    def _entry(self, step: Step, what: str, result: str | None) -> Entry:
        plan = plan_digest(self.plan)
        keys, manifest = key_digests(self.plan), self.folder.sha256()
        return entry_after(self.session, self.log, step, what, result, plan=plan, keys=keys, manifest=manifest)

    def _refuse_moved(self, found: Log) -> None:
        known = len(self.log.sha256s)
        if found.sha256s[:known] != self.log.sha256s:
            raise RackwrightError(
                f"the log of {self.plan.migration} on the control hosts isn't the one that this command started from",
                next=f"rackwright migrate status {self.plan.migration}",
            )
        self._follow(found)

    def _follow(self, found: Log) -> None:
        """Go on from this log. Raise LeasedError if someone has added an entry that this command minds."""
        new = found.entries[len(self.log.entries) :]
        if minded := [one for one in new if self.minds is None or one.step in self.minds]:
            raise _moved(minded[-1])
        self.log = found

    @contextmanager
    def _leased(self, why: str) -> Iterator[LeaseSession]:
        last, waited = time.monotonic() + LEASE_WAIT, False
        with ExitStack() as stack:
            while True:
                try:
                    lease_session = stack.enter_context(leased(self.session, why, self.console, rollout=True))
                    break
                except LeaseTaken as error:
                    if time.monotonic() >= last:
                        raise error.but(
                            should="what was done stays; the note of it is missing", next=f"rackwright {why}"
                        ) from None
                    if not waited:
                        self.console.say(f"waiting for the lease: {error.problems[0].what}")
                    waited = True
                Event().wait(POLL_SECONDS)
            yield lease_session


def no_plan(path: Path, name: str) -> UsageError:
    """Return the error for a migration without a plan here. It may have a log, or another name was meant."""
    next_ = f"rackwright migrate init {name}; or rackwright migrate status, which lists the migrations that exist"
    return UsageError("there is no migration plan", where=str(path), next=next_)


def plan_path(fleet: Fleet, name: str) -> Path:
    """Return the path of a migration's plan. Raise UsageError if this is no name."""
    if not re.fullmatch(NAME, name):
        should = "should be a letter, then letters, digits and -, all in lower case, 24 at most"
        raise UsageError("is no name of a migration", where=name, should=should)
    return plan_file(fleet.path, name)


def folder_of(path: Path, plan: Plan) -> Folder:
    """Given a plan and the path of its file, return its folder."""
    written = plan.records.folder
    place = path.parent / Path(str(written)).expanduser() if written else path.with_suffix("")
    return Folder(
        place,
        plan.records.recipient,
        lambda: resolve(plan.records.identity, where=f"{path} records.identity", folder=path.parent),
    )


def is_leaving(log: Log) -> bool:
    """Return whether the migration's end has started: from then on, the fleet may not have the cloud any more."""
    return any(one.step == "finish" for one in log.entries)


def plan_and_folder(fleet: Fleet, name: str, *, leaving: bool = False) -> tuple[Plan, Folder]:
    """Return a migration's plan and folder. `leaving`: the fleet may not have the cloud any more.

    Raise UsageError if there is no plan, FleetError with its problems.
    """
    path = plan_path(fleet, name)
    if not path.exists():
        raise no_plan(path, name)
    plan = read_plan(fleet, name, leaving=leaving)
    return plan, folder_of(path, plan)


def open_place(session: Session, name: str, console: Console) -> Place:
    """Return the migration's place.

    Raise UsageError if there is no plan, FleetError with each of its problems, RackwrightError if the log was
    changed, HostError if no control host answers.
    """
    # Before the hosts are asked: the end removes the cloud alone from the fleet, so everything else must hold anyway.
    try:
        plan, folder = plan_and_folder(session.fleet, name, leaving=True)
    except FleetError:
        # With the cloud, if that is a problem, too.
        plan, folder = plan_and_folder(session.fleet, name)
    log = read_log(session.store, name)
    if not is_leaving(log):
        plan, folder = plan_and_folder(session.fleet, name)
    folder.on_refused = lambda problem: console.say(f"left out: {problem}")
    place = Place(session, plan, folder, log, console)
    if known(place.folder, place.log) is Known.SAME:
        mark(place.folder, place.log)
    return place


def _moved(entry: Entry) -> LeasedError:
    return LeasedError(
        f"{entry.who} on {entry.machine} added '{entry.step}: {entry.what}' to {entry.migration} after this command "
        "had read its log",
        should="two machines shouldn't work on one migration at the same time",
        next=f"rackwright migrate status {entry.migration}, then the same command again",
    )
