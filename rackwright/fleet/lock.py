"""The lock: what should run, each answer beside its question. Apply uses nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.models import Runtime
from rackwright.package_set import Package, PackageSet
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.shape.shape import ModelShape
from rackwright.values.amounts import Port
from rackwright.values.base import Stored
from rackwright.values.file import File
from rackwright.values.text import Name, ServedName, Sha256


def _is_none(value: object) -> bool:
    return value is None


class SourceLock(Stored):
    """A source, settled to files."""

    source: str
    """The question: what the fleet file asks for."""
    revision: str | None = None
    """Commit of a hub repository."""
    digest: Sha256
    """sha256 of the sorted lines `sha256 size path`, each ended by a newline."""
    files: tuple[File, ...]
    license: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """By its model card, else by the fleet file, in lower case, several with commas between; None: not known."""


class AdapterLock(SourceLock):
    """A LoRA adapter's source, settled to files."""

    rank: int
    """The greatest of its layers."""


class ModelLock(SourceLock):
    """A model's source, settled to files, and what is served beside it."""

    shape: Annotated[ModelShape | None, Field(exclude_if=_is_none)] = None
    """What follows from the files for memory; None: an older lock, or they couldn't be read by parts."""
    template: Annotated[Sha256 | None, Field(exclude_if=_is_none)] = None
    """sha256 of the chat template that its files bring, of nothing where they bring none; None: as of `shape`."""
    previous: Annotated[ModelLock | None, Field(exclude_if=_is_none)] = None
    """What the lock had before this digest; it has none of its own."""
    adapters: Annotated[Mapping[ServedName, AdapterLock], Field(exclude_if=lambda adapters: not adapters)] = {}

    @property
    def alone(self) -> ModelLock:
        """It without what was before it."""
        return self.model_copy(update={"previous": None})

    @property
    def bare(self) -> ModelLock:
        """What hosts run: without what is only known of it."""
        adapters = {name: adapter.model_copy(update={"license": None}) for name, adapter in self.adapters.items()}
        known = dict.fromkeys(("shape", "template", "license", "previous"))
        return self.model_copy(update={**known, "adapters": adapters})

    @property
    def whole(self) -> tuple[SourceLock, ...]:
        """It and its adapters, each digest once: all that a host stores."""
        return tuple({one.digest: one for one in (self, *self.adapters.values())}.values())

    @property
    def bytes(self) -> int:
        """Of all that a host stores of it."""
        return sum(file.size for one in self.whole for file in one.files)

    @property
    def weights(self) -> str:
        """Path of what an engine is pointed at: the (first) GGUF file, or "." for a folder of safetensors."""
        return next((file.path for file in self.files if file.path.endswith(".gguf")), ".")


class RuntimeLock(Stored):
    """A runtime's version, settled to what it is made from: an archive, or wheels."""

    kind: str
    version: str
    build: str | None = None
    """The question: what the fleet file asks for."""
    python: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """Of the question: the version of Python that wheels were chosen for."""
    index: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """Of the question: the site's package index, if wheels came from there."""
    files: tuple[File, ...]

    @property
    def question(self) -> RuntimeLock:
        """It without its answer."""
        return self.model_copy(update={"files": ()})

    @property
    def digest(self) -> str:
        """An archive's sha256, or what `model_digest` makes of several files; their folder on a host bears it."""
        return self.files[0].sha256 if len(self.files) == 1 else model_digest(self.files)


class DriverLock(Stored):
    """Driver and kernel of some hosts, settled to packages: hosts of one release and kind of machine."""

    question: str
    """What the fleet file asks for, on one line."""
    system: str
    """ID and VERSION_ID of their os-release, like `debian 13`."""
    architecture: str
    needs: tuple[Literal["fabric", "subnet"], ...] = ()
    """What these machines need beyond a driver: Fabric Manager, NVLink subnet manager."""
    modules: Literal["open", "proprietary"]
    hosts: tuple[Name, ...]
    version: str
    """Of the driver."""
    kernel: str
    """Release of the kernel that the set brings, as uname -r has it."""
    kernel_package: str
    """What brings it."""
    install: tuple[str, ...]
    """Packages that were asked for by name; the others follow from them."""
    packages: tuple[Package, ...]
    cuda: tuple[Package, ...] = ()
    """The toolkit, where it was asked for."""

    @property
    def name(self) -> str:
        """Its key in the lock. One set of packages may answer two questions, like a branch and its newest release."""
        said = (self.question, self.system, self.set.digest, self.toolkit.digest if self.toolkit else "")
        return hashlib.sha256("".join(f"{line}\n" for line in said).encode()).hexdigest()[:16]

    @property
    def set(self) -> PackageSet:
        return PackageSet(packages=self.packages)

    @property
    def toolkit(self) -> PackageSet | None:
        return PackageSet(packages=self.cuda) if self.cuda else None


class Lock(Stored):
    format: Literal["lock/1"] = "lock/1"
    fleet: Name
    models: Mapping[Name, ModelLock]
    runtimes: Mapping[str, RuntimeLock]
    """By <kind>-<version>."""
    drivers: Annotated[Mapping[str, DriverLock], Field(exclude_if=lambda drivers: not drivers)] = {}
    """By what each answers (`DriverLock.name`). Without any, a lock from before there were any says the same."""
    ports: Mapping[Name, Mapping[str, Port]]
    """Host → replica (<model>@<n>) → port; given once, from 8100, never moved."""


def runtime_question(fleet: Fleet, runtime: Runtime) -> RuntimeLock:
    """Return what the fleet file asks of a runtime, without an answer."""
    vllm = runtime if isinstance(runtime, Vllm) else None
    return RuntimeLock(
        kind=runtime.kind,
        version=runtime.version,
        build=runtime.build,
        python=vllm.python_version if vllm else None,
        index=fleet.file.downloads.package_index if vllm and not vllm.build else None,
        files=(),
    )


def driver_of(lock: Lock, host: str) -> DriverLock | None:
    """Return the set that the lock has for a host; None: it has none."""
    return next((driver for driver in lock.drivers.values() if host in driver.hosts), None)


def model_digest(files: Iterable[File]) -> str:
    """Given a model's files, return the sha256 of the sorted lines `sha256 size path`, each ended by a newline."""
    lines = sorted(f"{file.sha256} {file.size} {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def lock_digest(lock: Lock) -> str:
    """Return the sha256 of what the lock says; order, comments and keys of other versions don't count.

    Nor do shapes, templates, licenses and what was before: hosts run the same with them and without.
    """
    models = {name: model.bare for name, model in lock.models.items()}
    said = lock.model_copy(update={"models": models}).model_dump(mode="json", exclude_none=True)
    content = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
