"""NAME.lock on disk, and whether it answers the fleet file's questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, ModelLock, SourceLock, driver_of, model_digest, runtime_question
from rackwright.fleet.sections.models import Model
from rackwright.fleet.source import HubSource, parse_source
from rackwright.fleet.stored import read_stored, write_stored

HEADER = """Written by `rackwright lock`: what should run, each answer beside its question.
Commit it, don't edit it: change the fleet file and run `rackwright lock` again."""
RUN = "rackwright lock"
NEXT = "lock.next"
"""Suffix of what a rollout leads to; it takes the lock's place when that has succeeded."""


def read_lock(path: Path) -> Lock:
    """Return the lock. Raise FleetError, with lines, if it is missing, malformed or of a newer format."""
    if not path.exists():
        raise FleetError([Problem(str(path), "no lock yet", next=RUN)])
    lock = read_stored(path, "lock", Lock, restore="git checkout -- the lock, or delete it; then rackwright lock")
    wrong = [place for place, source in _sources(lock) if source.digest != model_digest(source.files)]
    wrong += [f"drivers.{name}" for name, driver in lock.drivers.items() if name != driver.name]
    if wrong:
        raise FleetError(
            Problem(f"{path} {place}", "digest doesn't fit its files: it was edited or merged", next=RUN)
            for place in wrong
        )
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    """Afterwards the file is this lock, or as it was. Raise RackwrightError if it can't be written."""
    write_stored(path, HEADER, lock)


def require_match(fleet: Fleet, lock: Lock) -> None:
    """Raise FleetError with every question of the fleet file that the lock doesn't answer."""
    if problems := mismatches(fleet, lock):
        raise FleetError(problems)


def mismatches(fleet: Fleet, lock: Lock) -> tuple[Problem, ...]:
    """Return each question of the fleet file that changed since the lock was written; none: the lock answers it."""
    where = str(fleet.beside("lock"))
    if lock.fleet != fleet.file.fleet:
        return (Problem(where, f"is of fleet {lock.fleet}, not {fleet.file.fleet}", next=RUN),)
    found = (*_models(fleet, lock), *_runtimes(fleet, lock), *_drivers(fleet, lock), *_ports(fleet, lock))
    return tuple(Problem(f"{where} {place}", what, next=RUN) for place, what in dict.fromkeys(found))


def hub_moved(hub: str, locked: SourceLock) -> bool:
    """Say whether what was locked from a hub has URLs of another hub than this."""
    if not isinstance(parse_source(locked.source), HubSource):
        return False
    return any(not file.url.startswith(f"{hub.rstrip('/')}/") for file in locked.files)


def _sources(lock: Lock) -> Iterator[tuple[str, SourceLock]]:
    """Yield what was settled to a digest, with its place."""
    for name, model in lock.models.items():
        yield f"models.{name}", model
        for served, adapter in model.adapters.items():
            yield f"models.{name}.adapters.{served}", adapter


def _models(fleet: Fleet, lock: Lock) -> Iterator[tuple[str, str]]:
    for name, model in fleet.file.models.items():
        locked = lock.models.get(name)
        yield from _source(f"models.{name}", model.source, locked, fleet.file.site.hub)
        if locked is not None:
            yield from _adapters(f"models.{name}.adapters", model, locked, fleet.file.site.hub)
    for name in sorted(set(lock.models) - set(fleet.file.models)):
        yield f"models.{name}", "is no longer in the fleet file"


def _adapters(place: str, model: Model, locked: ModelLock, hub: str) -> Iterator[tuple[str, str]]:
    for served, source in model.adapters.items():
        adapter = locked.adapters.get(served)
        yield from _source(f"{place}.{served}", source, adapter, hub)
        if adapter and adapter.rank > model.adapter_rank:
            yield f"{place}.{served}.rank", f"is {adapter.rank}, above the fleet file's {model.adapter_rank}"
    for served in sorted(set(locked.adapters) - set(model.adapters)):
        yield f"{place}.{served}", "is no longer in the fleet file"


def _source(place: str, asked: str, locked: SourceLock | None, hub: str) -> Iterator[tuple[str, str]]:
    if locked is None:
        yield place, "is in the fleet file only"
    elif locked.source != asked:
        yield f"{place}.source", f"is {locked.source}, the fleet file asks for {asked}"
    elif hub_moved(hub, locked):
        yield f"{place}.files", f"are not from {hub}, the fleet file's site.hub"


def _runtimes(fleet: Fleet, lock: Lock) -> Iterator[tuple[str, str]]:
    asked = {model.runtime.key: model.runtime for model in fleet.file.models.values()}
    for key, runtime in asked.items():
        locked = lock.runtimes.get(key)
        if locked is None:
            yield f"runtimes.{key}", "is in the fleet file only"
            continue
        question = runtime_question(fleet, runtime)
        if locked.build != question.build:
            yield (
                f"runtimes.{key}.build",
                f"is {_build(locked.build)}, the fleet file asks for {_build(question.build)}",
            )
        elif locked.python != question.python:
            yield f"runtimes.{key}.python", f"is {locked.python}, the fleet file asks for {question.python}"
        elif locked.index != question.index:
            yield f"runtimes.{key}.index", f"is {locked.index}, the fleet file's site.package_index {question.index}"
    for key in sorted(set(lock.runtimes) - set(asked)):
        yield f"runtimes.{key}", "is no longer in the fleet file"


def _drivers(fleet: Fleet, lock: Lock) -> Iterator[tuple[str, str]]:
    for host in fleet.hosts:
        locked = driver_of(lock, host)
        driver = fleet.driver_of(host, had=locked is not None)
        if driver is None or not driver.installs:
            continue
        if locked is None:
            yield "drivers", f"has none for {host}"
        elif locked.question != driver.question:
            yield (
                f"drivers.{locked.name}",
                f"answers {locked.question}, the fleet file asks for {driver.question}",
            )


def _ports(fleet: Fleet, lock: Lock) -> Iterator[tuple[str, str]]:
    for replica in fleet.replicas:
        for host in replica.hosts:
            if replica.name not in lock.ports.get(host, {}):
                yield f"ports.{host}", f"has no port for {replica.name}"


def _build(build: str | None) -> str:
    return build or "the project's own"
