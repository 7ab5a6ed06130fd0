"""How an engine is started: what a runtime needs to be told, and the process that follows from it."""

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
from rackwright.values.text import ServedName, Shape

RUNTIMES = "/opt/rackwright/runtimes"
"""Where a host has its runtimes, one folder a version."""
CudaVersion = Annotated[str, Shape("[1-9][0-9]?[.][0-9]{1,2}", "should be a version in quotes, like '12.8'")]


class Versioned(Frozen):
    """What every runtime's settings have, so that its versions stand side by side."""

    kind: str
    version: str

    answers_alike: ClassVar[frozenset[str]] = frozenset()
    """Settings that change no answer: how fast and how many come, and what is kept in memory for them."""

    @property
    def tells_tokens(self) -> bool:
        """Whether the engine can be asked for each token's chance."""
        return True

    @property
    def answering(self) -> tuple[str, ...]:
        """What may change an answer beyond kind, version and build: settings that were given, as NAME=JSON."""
        reply = self.model_dump(mode="json", exclude_defaults=True)
        left = self.answers_alike | {"kind", "version", "build"}
        return tuple(
            f"{name}={json.dumps(reply[name], sort_keys=True)}" for name in sorted(reply) if name not in left
        )

    @property
    def key(self) -> str:
        """What tells it from other runtimes and versions, in the lock and on a host."""
        return f"{self.kind}-{self.version}"

    @property
    def folder(self) -> str:
        """Where this version lives on a host."""
        return f"{RUNTIMES}/{self.key}"


@dataclass(frozen=True)
class Widths:
    """Over how many GPUs (or hosts without any) a replica's work is spread, in each way; their product is all."""

    tensor: int = 1
    """Each layer is cut into as many pieces."""
    pipeline: int = 1
    """The layers are dealt out to as many groups."""
    data: int = 1
    """As many whole copies share the requests."""

    @property
    def total(self) -> int:
        return self.tensor * self.pipeline * self.data

    def __str__(self) -> str:
        return f"tensor {self.tensor}, pipeline {self.pipeline}, data {self.data}"


def even_widths(*, tensor: int | None, pipeline: int | None, data: int | None, gpus: int, hosts: int) -> Widths:
    """Given what is asked for and the GPUs on each of so many hosts, return how work is spread over them.

    What isn't asked for follows: over several hosts layers are dealt out to hosts and cut within each.
    Raise ValueError where they don't come out even.
    """
    total, copies = max(gpus, 1) * hosts, data or 1
    stages = pipeline or (total // (tensor * copies) if tensor else hosts if copies == 1 else 1)
    widths = Widths(tensor or total // (stages * copies), stages, copies)
    if widths.total != total:
        there = f"{max(gpus, 1)} on each of {hosts} hosts" if hosts > 1 else f"{total}"
        raise ValueError(f"{widths} make {widths.total}, and there are {there}; should be as many as the GPUs")
    if copies > 1 and hosts > 1 and copies % hosts:
        raise ValueError(f"data {copies} doesn't come out even over {hosts} hosts; should be a multiple of them")
    return widths


@dataclass(frozen=True)
class Member:
    """One host's part in a replica over several."""

    rank: int
    """Its place among the hosts, from 0."""
    addresses: tuple[Address, ...]
    """Of all members in the fabric network, in their order."""
    port: Port
    """Where the first one waits for the others."""

    @property
    def own(self) -> Address:
        return self.addresses[self.rank]

    @property
    def first(self) -> Address:
        return self.addresses[0]


@dataclass(frozen=True)
class Adapter:
    """What is served beside a model, from the same weights."""

    name: ServedName
    path: HostPath
    """Its folder."""


@dataclass(frozen=True)
class Engine:
    """What a runtime is told of one engine."""

    model: HostPath
    """File or folder of the weights."""
    socket: HostPath
    """Where it answers; a member that isn't the first has none."""
    names: tuple[ServedName, ...]
    """What it answers to."""
    context: int
    """Tokens of one request."""
    gpus: int
    """On each of its hosts; 0 computes on the CPU."""
    stop_seconds: int
    """Longest time in which requests in flight may end when it is told to stop."""
    member: Member | None = None
    """None: it has its host for itself."""
    adapters: tuple[Adapter, ...] = ()

    @property
    def answers(self) -> bool:
        """Whether it is the one that requests come to."""
        return self.member is None or self.member.rank == 0


class Reach(StrEnum):
    """Which network an engine has."""

    NOTHING = "nothing"
    """Unix sockets alone."""
    LOOPBACK = "loopback"
    """Its own, where its processes speak to one another."""
    MEMBERS = "members"
    """The host's, and by the packet filter nobody but the other members."""


@dataclass(frozen=True)
class Launch:
    """The process of one engine."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    reach: Reach = Reach.NOTHING
    member: Member | None = None
    """Its place among the members that it reaches."""
    readable: tuple[HostPath, ...] = ()
    """Folders beyond the system and the weights that it reads."""
    compiles: bool = False
    """Whether it makes machine code while it runs, and keeps what it made in a cache of its own."""
