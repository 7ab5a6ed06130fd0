"""The next lock: the current lock with one model or the runtimes changed, for an update or a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from rackwright.errors import FleetError, Problem, RackwrightError, UsageError
from rackwright.fleet.downloads import download_files
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, ModelLock, SourceLock
from rackwright.fleet.lock_file import Place, mismatches, require_match
from rackwright.fleet.naming import unknown, unknown_model
from rackwright.fleet.ports import assign_ports
from rackwright.fleet.source import FileSource, HubSource, parse_source
from rackwright.resolve.licenses import refused_licenses
from rackwright.resolve.lock import kinds
from rackwright.resolve.lock_entry import Resolver
from rackwright.resolve.lookup import Sources
from rackwright.resolve.web import Progress, quiet

S = TypeVar("S", bound=SourceLock)


def updated_model(
    fleet: Fleet, lock: Lock, name: str, *, to: str | None = None, on_progress: Progress = quiet
) -> Lock:
    """Return the lock with this model resolved again: entry, runtime and ports. Everything else is unchanged.

    `to` is a branch, tag or commit of its hub repository, and replaces the one in the fleet file. If the digest
    changes, the new entry keeps the old one as `previous`.
    Raise FleetError if the fleet file and the lock differ in something else, the model can't be resolved or its
    license isn't allowed; raise UsageError if the source has no revisions, SecretError without the hub's token,
    RackwrightError if a server can't be reached.
    """
    require_model(fleet, lock, name)
    source = _at(fleet, name, to) if to else None
    require_match(fleet, lock, ignoring=(("models", name), *_runtimes_of(fleet, lock, name), *_ports_of(fleet, name)))
    download_files(fleet)
    resolver = Resolver(fleet, lock, Sources(fleet, upgrade=True, on_progress=on_progress))
    entry = resolver.model(name, source)
    if problems := tuple(refused_licenses(fleet, {name: entry})):
        raise FleetError(problems)
    changes = {"runtimes": resolver.runtimes(), "ports": assign_ports(fleet, lock)}
    return _with_model(lock, name, entry).model_copy(update=changes)


def updated_runtimes(fleet: Fleet, lock: Lock, kind: str | None = None, *, on_progress: Progress = quiet) -> Lock:
    """Return the lock with all runtimes, or those of one kind, resolved again; models are unchanged.

    Local builds are read again. Runtimes that no model uses any more are left out. Raise the same errors as
    `updated_model`, and UsageError if no model has a runtime of this kind.
    """
    here = kinds(fleet)
    if kind is not None and kind not in here:
        raise unknown(kind, tuple(sorted(here)), "runtime")
    reread = here if kind is None else {kind}
    locked = {key: runtime.kind for key, runtime in lock.runtimes.items()}
    asked = {model.runtime.key: model.runtime.kind for model in fleet.file.models.values()}
    # Without a kind, this includes kinds that no model uses any more.
    ignoring = [("runtimes", key) for key, of in (locked | asked).items() if kind is None or of == kind]
    require_match(fleet, lock, ignoring=ignoring)
    download_files(fleet)
    resolver = Resolver(fleet, lock, Sources(fleet, upgrade=False, on_progress=on_progress))
    return lock.model_copy(update={"runtimes": resolver.runtimes(reread=reread)})


def rolled_back(fleet: Fleet, lock: Lock, name: str) -> Lock:
    """Return the lock with this model's entry and its `previous` swapped. Needs no network.

    The entry may then have another source than the fleet file's. Raise RackwrightError if there is no previous entry,
    FleetError if the fleet file and this lock differ in anything else.
    """
    require_model(fleet, lock, name)
    now = lock.models[name]
    if now.previous is None:
        what, hint = "has no previous version to roll back to", f"rackwright model show {name}"
        raise RackwrightError(what, where=f"{fleet.sibling('lock')} models.{name}", next=hint)
    _require_known(fleet, name, now.previous)
    then = now.previous.model_copy(update={"previous": now.alone})
    back = _with_model(lock, name, then)
    require_match(fleet, back, ignoring=(("models", name, "source"), ("models", name, "files")))
    return back


def _require_known(fleet: Fleet, name: str, then: ModelLock) -> None:
    """Raise FleetError if an apply after the rollback could send a file that only the lock names."""
    if isinstance(parse_source(then.source), FileSource) and then.source != fleet.file.models[name].source:
        where = f"{fleet.sibling('lock')} models.{name}.previous.source"
        what = f"is {then.source}, a file on this machine that the fleet file doesn't name"
        should = f"if it is the right one, write models.{name}.source: {then.source}"
        raise FleetError([Problem(where, what, should, f"rackwright model rollback {name}")])


def promoted_model(fleet: Fleet, lock: Lock, name: str, other: Lock, *, hub: str, runtime: str, build: str) -> Lock:
    """Return the lock with this model's entry from another fleet's lock. Needs no network.

    `runtime` and `build` (the digest of its files) are those of the engine that proved the model in the other fleet.
    URLs of the other fleet's `hub` are replaced by this fleet's hub; the bytes are the same. Raise FleetError, with
    all reasons at once, if the entry doesn't match this fleet file, was proven with another runtime, or has a
    license that isn't allowed here.
    """
    require_model(fleet, lock, name)
    now = lock.models[name]
    entry = _from_hub(other.models[name].alone, hub, fleet.file.downloads.hub)
    previous = now.alone if now.digest != entry.digest else now.previous
    after = _with_model(lock, name, entry.model_copy(update={"previous": previous}))
    problems = (
        *(replace(problem, next=None) for problem in mismatches(fleet, after)),
        *_other_runtime(fleet, lock, name, runtime, build),
        *refused_licenses(fleet, {name: entry}),
    )
    if problems:
        raise FleetError(problems)
    return after


def _other_runtime(fleet: Fleet, lock: Lock, name: str, runtime: str, build: str) -> Iterator[Problem]:
    """Yield a problem if the runtime here isn't the one of the proof: a proof is valid for one engine only."""
    key = fleet.file.models[name].runtime.key
    here, where = lock.runtimes.get(key), f"{fleet.path} models.{name}.runtime"
    if key != runtime:
        yield Problem(
            where,
            f"is {key}, but the model was proven with {runtime}",
            "use that runtime here, or prove the model with this one there",
        )
    elif here and here.digest != build:
        yield Problem(where, f"is another build of {key} than it was proven with", "use the same build at both sites")


def _from_hub(entry: ModelLock, there: str, here: str) -> ModelLock:
    def moved(url: str) -> str:
        below = f"{there.rstrip('/')}/"
        return f"{here.rstrip('/')}/{url.removeprefix(below)}" if url.startswith(below) else url

    def of(source: S) -> S:
        files = tuple(file.model_copy(update={"url": moved(file.url)}) for file in source.files)
        return source.model_copy(update={"files": files})

    adapters = {served: of(adapter) for served, adapter in entry.adapters.items()}
    return of(entry).model_copy(update={"adapters": adapters})


def _with_model(lock: Lock, name: str, entry: ModelLock) -> Lock:
    return lock.model_copy(update={"models": {**lock.models, name: entry}})


def require_model(fleet: Fleet, lock: Lock, name: str) -> None:
    """Raise UsageError or FleetError unless fleet file and lock have the model."""
    if name not in fleet.file.models:
        raise unknown_model(fleet, name)
    if name not in lock.models:
        place = f"{fleet.sibling('lock')} models.{name}"
        raise FleetError([Problem(place, "is in the fleet file only", next="rackwright lock")])


def _at(fleet: Fleet, name: str, to: str) -> str:
    """Return the model's source at another revision."""
    written, where = fleet.file.models[name].source, f"{fleet.path} models.{name}.source"
    source = parse_source(written)
    if not isinstance(source, HubSource):
        what = f"{written} has no revisions to choose from"
        raise UsageError(what, where=where, should="change it there", next="rackwright lock")
    if source.pinned:
        what = f"{written} is pinned to {source.revision}"
        raise UsageError(what, where=where, should="change it there, or remove the revision", next="rackwright lock")
    asked = replace(source, revision=to, pinned=True)
    if not _is_written(asked):
        raise UsageError(f"{to!a} is not a revision", where="--to", should="should be a branch, tag or commit")
    return str(asked)


def _is_written(source: HubSource) -> bool:
    """Return whether the fleet file could contain this source."""
    try:
        return parse_source(str(source)) == source
    except ValueError:
        return False


def _runtimes_of(fleet: Fleet, lock: Lock, name: str) -> Iterator[Place]:
    """Yield the model's own runtime, and those that no model uses any more."""
    asked = {model.runtime.key for model in fleet.file.models.values()}
    yield from (("runtimes", key) for key in (fleet.file.models[name].runtime.key, *(lock.runtimes.keys() - asked)))


def _ports_of(fleet: Fleet, name: str) -> Iterator[Place]:
    for replica in fleet.replicas_of(name):
        yield from (("ports", host, replica.name) for host in replica.hosts)
