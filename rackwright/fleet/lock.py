"""The lock: what should run, each answer beside its question. Apply uses nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from rackwright.values import File, Name, Port, Sha256, Stored


class ModelLock(Stored):
    """A model's source, settled to files."""

    source: str
    """The question: what the fleet file asks for."""
    revision: str | None = None
    """Commit of a hub repository."""
    digest: Sha256
    """sha256 of the sorted lines `sha256 size path`, each ended by a newline."""
    files: tuple[File, ...]

    @property
    def weights(self) -> str:
        """Path of what an engine is pointed at: the (first) GGUF file, or "." for a folder of safetensors."""
        return next((file.path for file in self.files if file.path.endswith(".gguf")), ".")


class RuntimeLock(Stored):
    """A runtime's version, settled to the archive that holds it."""

    kind: str
    version: str
    build: str | None = None
    """The question: what the fleet file asks for."""
    files: tuple[File, ...]


class Lock(Stored):
    format: Literal["lock/1"] = "lock/1"
    fleet: Name
    models: Mapping[Name, ModelLock]
    runtimes: Mapping[str, RuntimeLock]
    """By <kind>-<version>."""
    ports: Mapping[Name, Mapping[str, Port]]
    """Host → replica (<model>@<n>) → port; given once, from 8100, never moved."""


def model_digest(files: Iterable[File]) -> str:
    """Given a model's files, return the sha256 of the sorted lines `sha256 size path`, each ended by a newline."""
    lines = sorted(f"{file.sha256} {file.size} {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def lock_digest(lock: Lock) -> str:
    """Return the sha256 of what the lock says; order, comments and keys of other versions don't count."""
    content = json.dumps(lock.model_dump(mode="json", exclude_none=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
