"""How an engine is started: the runtime's input, and the process that results from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import Address
from rackwright.values.paths import HostPath
from rackwright.values.text import Name, ServedName, Shape

RUNTIMES = "/opt/rackwright/runtimes"
"""The folder on a host with its runtimes, one folder per version."""
BUILDS = "/var/lib/rackwright/builds"
"""The folder on a host with builds from the controller, for its backups: the archives or wheels of its runtimes."""
CudaVersion = Annotated[str, Shape("[1-9][0-9]?[.][0-9]{1,2}", "should be a version in quotes, like '12.8'")]


class Task(StrEnum):
    """What clients ask a model for."""

    GENERATE = "generate"
    """Text: completions and chat completions."""
    EMBED = "embed"
    """Embeddings of texts."""


class Versioned(Frozen):
    """Settings that every runtime has, so that several versions can be installed side by side."""

    kind: str
    version: str

    answers_alike: ClassVar[frozenset[str]] = frozenset()
    """Settings that never change an answer: they affect only speed, concurrency and memory use."""

    @property
    def tells_tokens(self) -> bool:
        """Whether the engine can return each token's probability."""
        return True

    @property
    def salts(self) -> bool:
        """Whether the engine reuses a prompt only among requests with the same `cache_salt`."""
        return False

    @property
    def schedules(self) -> bool:
        """Whether the engine takes waiting requests in the order of their `priority`. Others refuse one."""
        return False

    @property
    def answering(self) -> tuple[str, ...]:
        """Settings in the fleet file that may change an answer, as NAME=JSON; without kind, version and build."""
        left_out = {*self.answers_alike, "kind", "version", "build"}
        given = self.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
        return tuple(f"{name}={json.dumps(value, sort_keys=True)}" for name, value in sorted(given.items()))

    @property
    def key(self) -> str:
        """Identifies this runtime and version in the lock and on a host."""
        return f"{self.kind}-{self.version}"

    @property
    def folder(self) -> str:
        """The folder of this version on a host."""
        return f"{RUNTIMES}/{self.key}"


@dataclass(frozen=True)
class Widths:
    """Over how many GPUs (or hosts without GPUs) each parallelism spreads a replica; the product is the total."""

    tensor: int = 1
    """Each layer is split into this many parts."""
    pipeline: int = 1
    """The layers are divided into this many stages."""
    data: int = 1
    """This many full copies share the requests."""

    @property
    def total(self) -> int:
        return self.tensor * self.pipeline * self.data

    def __str__(self) -> str:
        return f"tensor {self.tensor}, pipeline {self.pipeline}, data {self.data}"


def even_widths(*, tensor: int | None, pipeline: int | None, data: int | None, gpus: int, hosts: int) -> Widths:
    """Given the requested widths and the number of GPUs on each host, return how work is spread over them.

    Widths that aren't requested are derived: pipeline parallelism between hosts, tensor parallelism within each.
    Raise ValueError if the work can't be divided evenly.
    """
    total, copies = max(gpus, 1) * hosts, data or 1
    stages = pipeline or (total // (tensor * copies) if tensor else hosts if copies == 1 else 1)
    widths = Widths(tensor or total // (stages * copies), stages, copies)
    if widths.total != total:
        there = f"{max(gpus, 1)} on each of {hosts} hosts" if hosts > 1 else f"{total}"
        raise ValueError(f"{widths} need {widths.total} GPUs, and there are {there}; should match the number of GPUs")
    if copies > 1 and hosts > 1 and copies % hosts:
        raise ValueError(f"data {copies} can't be divided evenly over {hosts} hosts; should be a multiple of {hosts}")
    return widths


@dataclass(frozen=True)
class Member:
    """One host's part in a replica over several hosts."""

    rank: int
    """Its position among the hosts, from 0."""
    addresses: tuple[Address, ...]
    """The addresses of all members in the fabric network, in rank order."""
    port: Port
    """The port where the first member waits for the others."""

    @property
    def own(self) -> Address:
        return self.addresses[self.rank]

    @property
    def first(self) -> Address:
        return self.addresses[0]


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter that is served with a model, by the same engine."""

    name: ServedName
    path: HostPath
    """Its folder."""


@dataclass(frozen=True)
class Engine:
    """A runtime's input for one engine."""

    model: HostPath
    """The file or folder with the weights."""
    socket: HostPath
    """The socket where it answers; only the first member has one."""
    name: Name
    """The model's name in the fleet file, to which it answers. The names that clients use are the gateways' business:
    changing them restarts no engine."""
    context: int
    """The longest request, in tokens."""
    gpus: int
    """The number of GPUs on each of its hosts; 0 means that it computes on the CPU."""
    stop_seconds: int
    """The longest time to finish requests in flight after it is asked to stop."""
    member: Member | None = None
    """None if the replica runs on a single host."""
    adapters: tuple[Adapter, ...] = ()
    task: Task = Task.GENERATE

    @property
    def answers(self) -> bool:
        """Whether this engine receives the requests."""
        return self.member is None or self.member.rank == 0


class Reach(StrEnum):
    """Which network an engine can use."""

    NOTHING = "nothing"
    """Unix sockets only."""
    LOOPBACK = "loopback"
    """A loopback of its own, through which its processes talk to one another."""
    MEMBERS = "members"
    """The host's network, restricted by the packet filter to the other members."""


@dataclass(frozen=True)
class Launch:
    """The process of one engine."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    reach: Reach = Reach.NOTHING
    member: Member | None = None
    """Its part in the replica group."""
    readable: tuple[HostPath, ...] = ()
    """Folders that it reads in addition to the system and the weights."""
    compiles: bool = False
    """Whether it compiles machine code at run time and keeps it in a cache of its own."""
    log_lines: tuple[str, ...] = ()
    """Expressions of the lines that it may log (rackwright/values/log_lines.py)."""
