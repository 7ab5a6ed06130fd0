"""What becomes of a model when its entry in the lock is another: asked of both entries and the fleet file, offline.

Whether it fits is asked of hosts: `fit.fit_fleet` tells with the lock that has the new entry. What stands in the way
whatever the memory is told here, in `refused`.
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
    """Of an adapter: SERVED NAME/PATH."""
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
    """Of the model and its adapters, in the order of their paths; those that stay left out."""
    bytes: Pair[int]
    """Of all files, adapters with them."""
    new: int
    """Bytes of the files whose content wasn't there before."""
    license: Pair[str]
    template: Pair[str]
    """sha256 of the chat template, of nothing where there is none; None: an older lock doesn't say."""
    weights: Pair[int]
    """Bytes of the weights themselves, by the headers of the files."""
    types: Pair[str]
    """Of the weights: the types that they are stored in, the one with most bytes first."""
    trained: Pair[int]
    """Tokens of the longest context that the model was made for."""
    context: int
    """Tokens of a request by the fleet file."""
    refused: tuple[str, ...]
    """Why an engine of the new one can't run so, whatever the memory."""

    @property
    def differs(self) -> bool:
        """Whether hosts would run anything else."""
        return bool(self.files) or self.digest.changed

    @property
    def beyond(self) -> bool:
        """Whether the fleet file's context is above what the new one was made for."""
        return self.trained.after is not None and self.context > self.trained.after


def difference(fleet: Fleet, before: ModelLock | None, after: ModelLock, name: str) -> Difference:
    """Given a model's entry of now and its next one, return what becomes of it; None: there is none yet."""
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
    reply = [ask(entry.shape) if entry and entry.shape else None for entry in (before, after)]
    return Pair(*reply)


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
