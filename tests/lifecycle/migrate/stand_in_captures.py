"""A stand-in for the gateways' captures: what each gateway has is in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pyrage

from rackwright.errors import HostError
from rackwright.gateway.capture_runtime import CaptureState, Found, Looked
from rackwright.roles.capture.settings import Orders
from tests.lifecycle.migrate.desks import IDENTITY

Value = TypeVar("Value")
UNTIL = 1_800_000_000


@dataclass
class StandInGateway:
    files: dict[str, bytes] = field(default_factory=dict)
    orders: Orders | None = None
    down: bool = False
    stays: bool = False
    """It says that it erases, and doesn't."""
    damages: bool = False
    stuck: bool = False
    """It can't complete the file that is open."""
    keeps: bool = False
    """It can't remove files."""

    def record(self, *lines: str) -> None:
        content = pyrage.encrypt("".join(f"{line}\n" for line in lines).encode(), [IDENTITY.to_public()])
        self.files[f"{len(self.files) + 1:08}-{len(lines)}.age"] = content


@dataclass
class StandInCaptures:
    gateways: dict[str, StandInGateway]
    shares: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    former: list[str] = field(default_factory=list)
    """Hosts that are asked although they are no gateways any more."""

    def start(self, orders: Orders, shares: Mapping[str, float], seconds: int) -> Mapping[str, HostError | None]:
        self.shares = dict(shares)

        def started(gateway: StandInGateway) -> None:
            gateway.orders = orders.model_copy(update={"until": UNTIL + seconds})

        return self._each(started)

    def stop(self, migration: str) -> Mapping[str, HostError | None]:
        self.done.append("stop")

        def stopped(gateway: StandInGateway) -> None:
            gateway.orders = None

        return self._each(stopped)

    def complete(self, migration: str) -> Mapping[str, HostError | None]:
        self.done.append("complete")
        stuck = "completing the open file failed: exit status 1"
        answers = self._each(lambda _: None)
        return answers | {host: HostError(stuck, where=host) for host, one in self.gateways.items() if one.stuck}

    def look(self, migration: str) -> Mapping[str, HostError | Looked]:
        return self._each(lambda gateway: _looked(gateway, migration))

    def files(self, migration: str) -> Mapping[str, HostError | tuple[Found, ...]]:
        return self._each(
            lambda gateway: tuple(
                Found(name, int(name[9:-4]), hashlib.sha256(content).hexdigest())
                for name, content in sorted(gateway.files.items())
            )
        )

    def fetch(self, host: str, migration: str, file: Found) -> bytes:
        gateway = self.gateways[host]
        return gateway.files[file.name] + (b"x" if gateway.damages else b"")

    def remove(self, host: str, migration: str, files: Iterable[Found]) -> None:
        if self.gateways[host].keeps:
            raise HostError("removing the recorded files failed", where=host)
        for file in files:
            del self.gateways[host].files[file.name]

    def erase(self, migration: str) -> Mapping[str, HostError | tuple[str, ...]]:
        self.done.append("erase")

        def erased(gateway: StandInGateway) -> tuple[str, ...]:
            if not gateway.stays:
                gateway.files.clear()
            return tuple(gateway.files)

        return self._each(erased)

    def _each(self, act: Callable[[StandInGateway], Value]) -> dict[str, HostError | Value]:
        return {
            host: HostError("can't be reached", where=host) if gateway.down else act(gateway)
            for host, gateway in self.gateways.items()
        }


def _looked(gateway: StandInGateway, migration: str) -> Looked:
    recorded = sum(int(name[9:-4]) for name in gateway.files)
    size = sum(map(len, gateway.files.values()))
    state = CaptureState(
        migration=migration,
        until=UNTIL,
        recorded=recorded,
        bytes=size,
        dropped={"full": 1},
        personal={"email": recorded},
        ended="",
    )
    orders = gateway.orders
    return Looked(orders.migration if orders else None, orders is not None, state, len(gateway.files), size)
