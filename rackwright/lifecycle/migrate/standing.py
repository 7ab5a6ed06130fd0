"""How far a migration is: what was done, what no longer holds, what is wrong, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import HostError, Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.cutover.standing import Cutting, cutting
from rackwright.lifecycle.migrate.edited import Edit, edits
from rackwright.lifecycle.migrate.finish.standing import NO_END, Finished, finished
from rackwright.lifecycle.migrate.place import folder_of, is_leaving, no_plan, plan_path
from rackwright.lifecycle.migrate.progress import Progress, progress
from rackwright.lifecycle.migrate.same_folder import Known, known, last_with_folder, where_from
from rackwright.lifecycle.migrate.stale import Stale, has_records, newest
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_file import plans_of, read_plan
from rackwright.migrate.plan.plan_keys import plan_digest
from rackwright.state.migrations import Entry, Log, migrations_of, read_log
from rackwright.state.store import ControlStore


@dataclass(frozen=True)
class OnDisk:
    """The folder on this machine."""

    path: Path
    state: Known
    files: int = 0
    requests: int = 0
    """Recorded ones."""
    sha256: str | None = None
    """Of its list of files."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Standing:
    migration: str
    path: Path
    """The plan's file."""
    log: Log
    next: str
    """The first command to go on with."""
    plan: Plan | None = None
    """None: this machine has no plan that can be used."""
    folder: OnDisk | None = None
    progress: Progress | None = None
    cutting: Cutting = field(default_factory=Cutting)
    """How far the cutover is."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with plan, log, results or folder."""
    end: Finished = NO_END

    @property
    def digest(self) -> str | None:
        """The sha256 of the plan."""
        return plan_digest(self.plan) if self.plan else None

    @property
    def stale(self) -> tuple[Stale, ...]:
        return self.progress.stale if self.progress else ()

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Edits of the plan between two results of one step."""
        return edits(self.log)

    def newest(self, step: str) -> Entry | None:
        return newest(self.log, step)

    def stale_result(self, step: str) -> Stale | None:
        return next((one for one in self.stale if one.entry.step == step), None)


def all_standings(fleet: Fleet, store: ControlStore) -> tuple[Standing, ...]:
    """Return each migration that has a plan here or a log on the control hosts, by name; problems are part of it.

    Raise HostError if no control host answers.
    """
    names = sorted({*plans_of(fleet.path), *migrations_of(store)})
    return tuple(_anyway(fleet, store, name) for name in names)


def standing(fleet: Fleet, store: ControlStore, name: str) -> Standing:
    """Return how far this migration is.

    Raise UsageError if it has neither a plan here nor a log, FleetError with each problem of the plan,
    RackwrightError if the log was changed, HostError if no control host answers.
    """
    path = plan_path(fleet, name)
    log = read_log(store, name)
    if path.exists():
        return _with_plan(fleet, path, log, store)
    if not log.entries:
        raise no_plan(path, name)
    last, (cut, wrong) = log.entries[-1], _cutting(store, log)
    problem = Problem(str(path), "isn't on this machine", f"{last.who} had it on {last.machine}: copy it from there")
    next_ = f"copy {path.name} from {last.machine}"
    return Standing(name, path, log, next_, cutting=cut, problems=(problem, *wrong))


def _anyway(fleet: Fleet, store: ControlStore, name: str) -> Standing:
    try:
        return standing(fleet, store, name)
    except HostError:
        raise
    except RackwrightError as error:
        next_ = f"rackwright migrate status {name}"
        return Standing(name, plan_path(fleet, name), Log(name), next_, problems=error.problems)


def _with_plan(fleet: Fleet, path: Path, log: Log, store: ControlStore) -> Standing:
    plan = read_plan(fleet, log.migration, leaving=is_leaving(log))
    here, found = _on_disk(folder_of(path, plan), log), progress(fleet, plan, log, store)
    cut, wrong = _cutting(store, log)
    end = finished(store, log)
    next_ = end.next(plan.migration) or (cut.next(plan) if cut.state.under_way else "")
    next_ = next_ or _next(path, found, here, cut)
    problems = (*here.problems, *found.problems, *wrong)
    return Standing(plan.migration, path, log, next_, plan, here, found, cut, problems, end)


def _cutting(store: ControlStore, log: Log) -> tuple[Cutting, tuple[Problem, ...]]:
    """Return how far the cutover is. A result that can't be read is a problem."""
    try:
        return cutting(store, log), ()
    except HostError:
        raise
    except RackwrightError as error:
        return Cutting(), error.problems


def _on_disk(folder: Folder, log: Log) -> OnDisk:
    state, found = known(folder, log), last_with_folder(log)
    problems = folder.problems()
    if state is Known.LOST:
        what = "knows an entry that the log on the control hosts lacks"
        should = "was a control host restored from an older snapshot? what it lost must be done again"
        problems = (Problem(str(folder.path), what, should), *problems)
    if found and state in (Known.ABSENT, Known.OTHER):
        what = "isn't on this machine" if state is Known.ABSENT else "isn't the folder that the log knows"
        problems = (Problem(str(folder.path), what, where_from(found[0])), *problems)
    files = folder.manifest().files
    requests = sum(one.lines for _, one in folder.of("requests"))
    return OnDisk(folder.path, state, len(files), requests, folder.sha256(), problems)


def _next(path: Path, found: Progress, folder: OnDisk, cut: Cutting) -> str:
    name, log = found.plan.migration, found.log
    if folder.problems and folder.state is not Known.LOST:
        erase = f"; without a copy, rackwright migrate erase {name} --folder, and record again"
        return f"restore {folder.problems[0].where} from a copy{erase if folder.state is Known.SAME else ''}"
    if not folder.requests and not (folder.state is Known.ABSENT and has_records(log)):
        if found.captured and found.captured.to_fetch:
            return f"rackwright migrate capture {name} --fetch"
        return f"rackwright migrate capture {name}, or rackwright migrate import {name} FILE"
    return found.next(str(path), then=cut.next(found.plan))
