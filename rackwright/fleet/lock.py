"""The lock: what should run, with the fleet file's settings that it was resolved from. Apply uses nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.models import Runtime
from rackwright.fleet.source import Source
from rackwright.own_wheel import own_digest, own_version
from rackwright.package_set import Package, PackageName, PackageSet
from rackwright.roles.tool.settings import PYTHON_VERSION, Version
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.shape.shape import ModelShape
from rackwright.values.amounts import Port
from rackwright.values.base import Stored
from rackwright.values.file import File
from rackwright.values.text import Line, Name, ServedName, Sha256

Release = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,99}$")]


def _is_none(value: object) -> bool:
    return value is None


class SourceLock(Stored):
    """A source, resolved to files."""

    source: Source
    """The setting in the fleet file."""
    revision: Line | None = None
    """The commit of a hub repository."""
    digest: Sha256
    """The sha256 of the sorted lines `sha256 size path`, each with a newline at its end."""
    files: tuple[File, ...]
    license: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """From its model card, else from the fleet file, in lower case, separated by commas; None if not known."""


class AdapterLock(SourceLock):
    """A LoRA adapter's source, resolved to files."""

    rank: int
    """The greatest rank of its layers."""


class ModelLock(SourceLock):
    """A model's source, resolved to files, with its adapters."""

    shape: Annotated[ModelShape | None, Field(exclude_if=_is_none)] = None
    """The facts for its memory use; None in an older lock, or if the files couldn't be read by ranges."""
    since: Annotated[datetime | None, Field(exclude_if=_is_none)] = None
    """When this digest was resolved first, UTC; None in an older lock."""
    template: Annotated[Sha256 | None, Field(exclude_if=_is_none)] = None
    """The sha256 of the chat template in its files, of an empty text if there is none; None as with `shape`."""
    previous: Annotated[ModelLock | None, Field(exclude_if=_is_none)] = None
    """The entry before this digest; it has no `previous` itself."""
    adapters: Annotated[Mapping[ServedName, AdapterLock], Field(exclude_if=lambda adapters: not adapters)] = {}

    @property
    def alone(self) -> ModelLock:
        """This entry without `previous`."""
        return self.model_copy(update={"previous": None})

    @property
    def bare(self) -> ModelLock:
        """The part that hosts run, without facts that are only informative."""
        adapters = {name: adapter.model_copy(update={"license": None}) for name, adapter in self.adapters.items()}
        known = dict.fromkeys(("shape", "since", "template", "license", "previous"))
        return self.model_copy(update={**known, "adapters": adapters})

    @property
    def whole(self) -> tuple[SourceLock, ...]:
        """The model and its adapters, each digest once: everything that a host stores."""
        return tuple({one.digest: one for one in (self, *self.adapters.values())}.values())

    @property
    def bytes(self) -> int:
        """The total size of everything that a host stores of it."""
        return sum(file.size for one in self.whole for file in one.files)

    @property
    def weights(self) -> str:
        """The path that an engine loads: the (first) GGUF file, or "." for a folder of safetensors."""
        return next((file.path for file in self.files if file.path.endswith(".gguf")), ".")


class RuntimeLock(Stored):
    """A runtime's version, resolved to the files that it is installed from: an archive, or wheels."""

    kind: str
    version: str
    build: str | None = None
    """The setting in the fleet file."""
    python: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """From the fleet file: the version of Python that the wheels are for."""
    index: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """From the fleet file: the package index, if the wheels came from there."""
    files: tuple[File, ...]

    @property
    def question(self) -> RuntimeLock:
        """Only what comes from the fleet file."""
        return self.model_copy(update={"files": ()})

    @property
    def digest(self) -> str:
        """An archive's sha256, or the `model_digest` of several files; part of their folder's name on a host."""
        return self.files[0].sha256 if len(self.files) == 1 else model_digest(self.files)


class ToolLock(Stored):
    """rackwright itself for control hosts, resolved to the wheels of what it needs."""

    version: Version
    """Of the rackwright that wrote the lock, the only one that may run on control hosts."""
    digest: Sha256
    """Over its files; `version` has the beginning."""
    python: str
    """The version of the hosts' Python that the wheels are for."""
    index: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """The package index in the fleet file."""
    files: tuple[File, ...]
    """The wheels of what it needs. Its own isn't among them: each controller makes it, with the same bytes."""

    @property
    def question(self) -> ToolLock:
        """What doesn't come from the package index."""
        return self.model_copy(update={"files": ()})


class DriverLock(Stored):
    """Driver and kernel, resolved to packages, for hosts with the same release and kind of machine."""

    question: str
    """The settings in the fleet file, on one line."""
    system: str
    """ID and VERSION_ID of their os-release, like `debian 13`."""
    architecture: str
    needs: tuple[Literal["fabric", "subnet"], ...] = ()
    """What these machines need in addition to a driver: Fabric Manager, NVLink subnet manager."""
    modules: Literal["open", "proprietary"]
    hosts: tuple[Name, ...]
    version: Release
    """The driver's version."""
    kernel: Release
    """The release of the set's kernel, as in uname -r."""
    kernel_package: PackageName
    """The package that contains the kernel."""
    install: tuple[PackageName, ...]
    """Packages that are installed by name; the others are their dependencies."""
    packages: tuple[Package, ...]
    cuda: tuple[Package, ...] = ()
    """The CUDA toolkit, if the fleet file requests it."""

    @property
    def name(self) -> str:
        """Its key in the lock. Two settings may lead to the same packages, like a branch and its newest release."""
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
    """<kind>-<version> → runtime."""
    drivers: Annotated[Mapping[str, DriverLock], Field(exclude_if=lambda drivers: not drivers)] = {}
    """`DriverLock.name` → driver. Left out if empty, so that locks without drivers don't change."""
    tool: Annotated[ToolLock | None, Field(exclude_if=_is_none)] = None
    """None if no host has the tool."""
    ports: Mapping[Name, Mapping[str, Port]]
    """Host → replica (<model>@<n>) → port, from 8100; a replica keeps its port."""
    control: Annotated[tuple[Name, ...], Field(exclude_if=lambda hosts: not hosts)] = ()
    """The control hosts, with lease and journal; only `lease move` changes them. Empty in an older lock."""


def runtime_question(fleet: Fleet, runtime: Runtime) -> RuntimeLock:
    """Return the fleet file's settings of a runtime as an unresolved entry."""
    vllm = runtime if isinstance(runtime, Vllm) else None
    return RuntimeLock(
        kind=runtime.kind,
        version=runtime.version,
        build=runtime.build,
        python=vllm.python_version if vllm else None,
        index=fleet.file.downloads.package_index if vllm and not vllm.build else None,
        files=(),
    )


def tool_question(fleet: Fleet) -> ToolLock | None:
    """Return the unresolved entry of the rackwright that runs here; None if no host has the tool.

    Raise RackwrightError if it isn't installed as a package.
    """
    if fleet.file.unattended.on is None:
        return None
    return ToolLock(
        version=own_version(),
        digest=own_digest(),
        python=PYTHON_VERSION,
        index=fleet.file.downloads.package_index,
        files=(),
    )


def driver_of(lock: Lock, host: str) -> DriverLock | None:
    """Return the driver set that the lock has for a host, or None."""
    return next((driver for driver in lock.drivers.values() if host in driver.hosts), None)


def model_digest(files: Iterable[File]) -> str:
    """Return the sha256 of the sorted lines `sha256 size path` of files, each with a newline at its end."""
    lines = sorted(f"{file.sha256} {file.size} {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def lock_digest(lock: Lock) -> str:
    """Return the sha256 of the lock's meaning; order, comments and unknown keys don't change it.

    Shapes, templates, licenses, previous entries and the control hosts don't change it either: they have no effect on
    what hosts run.
    """
    models = {name: model.bare for name, model in lock.models.items()}
    said = lock.model_copy(update={"models": models, "control": ()}).model_dump(mode="json", exclude_none=True)
    content = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
