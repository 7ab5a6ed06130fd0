"""What changes for a model with a new entry in the lock: computed offline from both entries and the fleet file.

Whether it fits depends on the hosts: `fit.fit_fleet` computes that with the lock that has the new entry. Here,
`refused` has what prevents it from running with any amount of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rackwright.fit.demand import Room
from rackwright.fit.fit import Fit
from rackwright.fit.from_fleet import asked_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import ModelLock
from rackwright.launch import Task
from rackwright.shape.shape import ModelShape
from rackwright.values.file import File

T = TypeVar("T")

_PLENTY = 2**60
"""Bytes of memory with which anything fits that can run at all."""


@dataclass(frozen=True)
class Pair(Generic[T]):
    """A value before and after; None: there was none, or it isn't known."""

    before: T | None
    after: T | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class FileChange:
    path: str
    """For an adapter: SERVED NAME/PATH."""
    what: Literal["added", "removed", "changed"]
    bytes: Pair[int]


@dataclass(frozen=True)
class Difference:
    model: str
    source: Pair[str]
    revision: Pair[str]
    """Commit of a hub repository."""
    digest: Pair[str]
    files: tuple[FileChange, ...]
    """Of the model and its adapters, in the order of their paths; without unchanged ones."""
    bytes: Pair[int]
    """Of all files, including those of adapters."""
    new: int
    """Bytes of the files whose content is new."""
    license: Pair[str]
    template: Pair[str]
    """sha256 of the chat template, or of nothing if there is none; None: an older lock doesn't have it."""
    weights: Pair[int]
    """Bytes of the weights themselves, from the headers of the files."""
    types: Pair[str]
    """The types that the weights are stored in, the one with most bytes first."""
    trained: Pair[int]
    """The longest context that the model was made for, in tokens."""
    context: int
    """The context that the fleet file asks for, in tokens."""
    vectors: bool
    """Whether clients get embeddings from it. Those of two versions can't be compared."""
    refused: tuple[str, ...]
    """Why an engine can't run the new version like this, with any amount of memory."""

    @property
    def differs(self) -> bool:
        """Whether hosts would run anything different."""
        return bool(self.files) or self.digest.changed

    @property
    def beyond(self) -> bool:
        """Whether the fleet file's context is longer than the new version was made for."""
        return self.trained.after is not None and self.context > self.trained.after


def difference(fleet: Fleet, before: ModelLock | None, after: ModelLock, name: str) -> Difference:
    """Return what changes between a model's current entry, None if there is none yet, and its next one."""
    old, new = _files(before), _files(after)
    return Difference(
        model=name,
        source=Pair(before.source if before else None, after.source),
        revision=Pair(before.revision if before else None, after.revision),
        digest=Pair(before.digest if before else None, after.digest),
        files=tuple(_changes(old, new)),
        bytes=Pair(_size(old) if before else None, _size(new)),
        new=_new(old, new),
        license=Pair(before.license if before else None, after.license),
        template=Pair(before.template if before else None, after.template),
        weights=_of_shapes(before, after, lambda shape: shape.weights.total),
        types=_of_shapes(before, after, _types),
        trained=_of_shapes(before, after, lambda shape: shape.context),
        context=fleet.file.models[name].context,
        vectors=fleet.file.models[name].task is Task.EMBED,
        refused=_refused(fleet, after, name),
    )


def _files(entry: ModelLock | None) -> dict[str, File]:
    if entry is None:
        return {}
    adapters = {f"{served}/{file.path}": file for served, one in entry.adapters.items() for file in one.files}
    return {file.path: file for file in entry.files} | adapters


def _changes(old: Mapping[str, File], new: Mapping[str, File]) -> Iterator[FileChange]:
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        sizes = Pair(before.size if before else None, after.size if after else None)
        if before is None:
            yield FileChange(path, "added", sizes)
        elif after is None:
            yield FileChange(path, "removed", sizes)
        elif before.sha256 != after.sha256:
            yield FileChange(path, "changed", sizes)


def _size(files: Mapping[str, File]) -> int:
    return sum(file.size for file in files.values())


def _new(old: Mapping[str, File], new: Mapping[str, File]) -> int:
    there = {file.sha256 for file in old.values()}
    return sum({file.sha256: file.size for file in new.values() if file.sha256 not in there}.values())


def _of_shapes(before: ModelLock | None, after: ModelLock, ask: Callable[[ModelShape], T | None]) -> Pair[T]:
    both = [ask(entry.shape) if entry and entry.shape else None for entry in (before, after)]
    return Pair(*both)


def _types(shape: ModelShape) -> str | None:
    stored = shape.weights.stored
    return ", ".join(sorted(stored, key=lambda kind: -stored[kind])) or None


def _refused(fleet: Fleet, after: ModelLock, name: str) -> tuple[str, ...]:
    if after.shape is None:
        return ()
    model, shape = fleet.file.models[name], after.shape
    places = dict.fromkeys((replica.gpus, len(replica.hosts)) for replica in fleet.replicas_of(name))
    fits = (Fit(shape, asked_of(model, gpus=gpus, hosts=hosts), Room(_PLENTY, gpus)) for gpus, hosts in places)
    return tuple(dict.fromkeys(fit.refused for fit in fits if fit.refused))
