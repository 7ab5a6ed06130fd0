"""NAME.lock on disk, and whether it matches the fleet file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, SourceLock, driver_of, runtime_question, tool_question
from rackwright.fleet.lock_rules import faults
from rackwright.fleet.recorded_control import recorded_control
from rackwright.fleet.sections.licenses import is_allowed
from rackwright.fleet.sections.models import Model
from rackwright.fleet.source import FileSource, HubSource, parse_source
from rackwright.fleet.yaml_file import read_stored, write_stored

HEADER = """Written by `rackwright lock`: what should run, resolved from the fleet file.
Commit this file, but don't edit it: change the fleet file and run `rackwright lock` again."""
RUN = "rackwright lock"
RESTORE = "git checkout -- the lock, or delete it; then rackwright lock"
NEXT = "lock.next"
"""The suffix of the lock that a rollout works toward; it replaces the lock after the rollout has succeeded."""

Place = tuple[str, ...]
"""Keys in the lock, from the top."""


def read_lock(path: Path) -> Lock:
    """Return the lock; its files follow from the sources that it names.

    Raise FleetError if it is missing, malformed (with lines), of a newer format, or not what
    `rackwright lock` writes.
    """
    if not path.exists():
        raise FleetError([Problem(str(path), "no lock yet", next=RUN)])
    lock = read_stored(path, "lock", Lock, restore=RESTORE)
    if wrong := (*faults(lock), *_misplaced(path, lock)):
        raise FleetError(
            Problem(f"{path} {place}", f"{what}: it was edited or merged", next=RESTORE) for place, what in wrong
        )
    return lock


def _misplaced(path: Path, lock: Lock) -> Iterator[tuple[str, str]]:
    if lock.control != recorded_control(path):
        yield "control", "isn't written as rackwright writes it"


def require_sound(path: Path, lock: Lock) -> None:
    """Raise FleetError if `read_lock` would refuse this new lock: its sources were resolved to something unusable."""
    if wrong := tuple(faults(lock)):
        raise FleetError(Problem(f"{path} {place}", f"{what}; the lock is unchanged") for place, what in wrong)


def write_lock(path: Path, lock: Lock) -> None:
    """Write this lock to the file; on an error it is unchanged. Raise RackwrightError if it can't be written."""
    write_stored(path, HEADER, lock)


def require_match(fleet: Fleet, lock: Lock, *, ignoring: Collection[Place] = ()) -> None:
    """Raise FleetError with every difference between fleet file and lock; see `mismatches`."""
    if problems := mismatches(fleet, lock, ignoring=ignoring):
        raise FleetError(problems)


def mismatches(fleet: Fleet, lock: Lock, *, ignoring: Collection[Place] = ()) -> tuple[Problem, ...]:
    """Return each setting of the fleet file that changed since the lock was written; empty if the lock matches.

    Differences at or below the places in `ignoring` are left out.
    """
    where = str(fleet.sibling("lock"))
    if lock.fleet != fleet.file.fleet:
        return (Problem(where, f"is of fleet {lock.fleet}, not {fleet.file.fleet}", next=RUN),)
    found = (
        *_models(fleet, lock),
        *_runtimes(fleet, lock),
        *_drivers(fleet, lock),
        *_tool(fleet, lock),
        *_ports(fleet, lock),
    )
    left = [(place, what) for place, what in dict.fromkeys(found) if not _below(place, ignoring)]
    return tuple(Problem(f"{where} {'.'.join(place)}", what, next=RUN) for place, what in left)


def _below(place: Place, places: Collection[Place]) -> bool:
    return any(place[: len(above)] == above for above in places)


def elsewhere(hub: str, locked: SourceLock) -> str | None:
    """Return which file of a hub's source has the URL of another hub than this one; None if none has."""
    source = parse_source(locked.source)
    if not isinstance(source, HubSource):
        return None
    expected = ((file, source.url(hub, locked.revision or "", file.path)) for file in locked.files)
    return next((f"{file.path} has {file.url}, should be {url}" for file, url in expected if file.url != url), None)


def _models(fleet: Fleet, lock: Lock) -> Iterator[tuple[Place, str]]:
    for name, model in fleet.file.models.items():
        locked, place = lock.models.get(name), ("models", name)
        yield from _source(place, model.source, locked, fleet)
        if locked is not None:
            yield from _said(place, model, locked)
            yield from _adapters((*place, "adapters"), model, locked, fleet)
    for name in sorted(set(lock.models) - set(fleet.file.models)):
        yield ("models", name), "is no longer in the fleet file"


def _adapters(place: Place, model: Model, locked: ModelLock, fleet: Fleet) -> Iterator[tuple[Place, str]]:
    for served, source in model.adapters.items():
        adapter = locked.adapters.get(served)
        yield from _source((*place, served), source, adapter, fleet)
        if adapter and adapter.rank > model.max_lora_rank:
            yield (*place, served, "rank"), f"is {adapter.rank}, above the fleet file's {model.max_lora_rank}"
    for served in sorted(set(locked.adapters) - set(model.adapters)):
        yield (*place, served), "is no longer in the fleet file"


def _source(place: Place, asked: str, locked: SourceLock | None, fleet: Fleet) -> Iterator[tuple[Place, str]]:
    hub, licenses = fleet.file.downloads.hub, fleet.file.licenses
    if locked is None:
        yield place, "is in the fleet file only"
        return
    if locked.source != asked:
        yield (*place, "source"), f"is {locked.source}, but the fleet file asks for {asked}"
    elif wrong := elsewhere(hub, locked):
        yield (*place, "files"), f"are not from {hub}, which is downloads.hub in the fleet file: {wrong}"
    if locked.license and not is_allowed(locked.license, licenses):
        yield (*place, "license"), f"is {locked.license}, but the fleet file's licenses are {', '.join(licenses)}"


def _said(place: Place, model: Model, locked: ModelLock) -> Iterator[tuple[Place, str]]:
    """Compare the license only if the source is the fleet file's, and the lock has one (older locks have none)."""
    said = model.license if locked.source == model.source else None
    if said and locked.license and locked.license != said:
        yield (*place, "license"), f"is {locked.license}, but the fleet file says {said}"


def _runtimes(fleet: Fleet, lock: Lock) -> Iterator[tuple[Place, str]]:
    asked = {model.runtime.key: model.runtime for model in fleet.file.models.values()}
    for key, runtime in asked.items():
        locked = lock.runtimes.get(key)
        if locked is None:
            yield ("runtimes", key), "is in the fleet file only"
            continue
        question = runtime_question(fleet, runtime)
        if locked.build != question.build:
            yield (
                ("runtimes", key, "build"),
                f"is {_build(locked.build)}, but the fleet file asks for {_build(question.build)}",
            )
        elif locked.python != question.python:
            yield ("runtimes", key, "python"), f"is {locked.python}, but the fleet file asks for {question.python}"
        elif locked.index != question.index:
            yield (
                ("runtimes", key, "index"),
                f"is {locked.index}, but downloads.package_index in the fleet file is {question.index}",
            )
        elif wrong := _not_in_folder(fleet, locked):
            yield ("runtimes", key, "files"), wrong
    for key in sorted(set(lock.runtimes) - set(asked)):
        yield ("runtimes", key), "is no longer in the fleet file"


def _not_in_folder(fleet: Fleet, locked: RuntimeLock) -> str | None:
    """Return what is wrong if wheels are downloaded although the build isn't a requirements file."""
    source = parse_source(locked.build) if locked.build else None
    if not isinstance(source, FileSource) or os.path.isfile(fleet.at(source.path)):  # noqa: PTH113 — False without permission
        return None
    file = next((file for file in locked.files if file.local is None), None)
    return f"are not all in {source.path}: {file.path} has {file.url}" if file else None


def _drivers(fleet: Fleet, lock: Lock) -> Iterator[tuple[Place, str]]:
    for host in fleet.hosts:
        locked = driver_of(lock, host)
        driver = fleet.driver_of(host, had=locked is not None)
        if driver is None or not driver.installs:
            continue
        if locked is None:
            yield ("drivers",), f"has no driver for {host}"
        elif locked.question != driver.question:
            yield (
                ("drivers", locked.name),
                f"is for {locked.question}, but the fleet file asks for {driver.question}",
            )


def _tool(fleet: Fleet, lock: Lock) -> Iterator[tuple[Place, str]]:
    """Compare the tool with the rackwright that runs here. An entry that no host needs does no harm."""
    question, locked = tool_question(fleet), lock.tool
    if question is None:
        return
    if locked is None:
        yield ("tool",), "is in the fleet file only"
    elif locked.digest != question.digest:
        yield ("tool", "version"), f"is {locked.version}, but this rackwright is {question.version}"
    elif locked.python != question.python:
        yield ("tool", "python"), f"is {locked.python}, but this rackwright needs {question.python}"
    elif locked.index != question.index:
        yield (
            ("tool", "index"),
            f"is {locked.index}, but downloads.package_index in the fleet file is {question.index}",
        )


def _ports(fleet: Fleet, lock: Lock) -> Iterator[tuple[Place, str]]:
    for replica in fleet.replicas:
        for host in replica.hosts:
            if replica.name not in lock.ports.get(host, {}):
                yield ("ports", host, replica.name), "is in the fleet file only"


def _build(build: str | None) -> str:
    return build or "the project's own"
