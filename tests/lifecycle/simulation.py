"""Gateways and time, simulated: the rollout's own code runs against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.change import Change, Kill, Phase, Revert, Rules
from rackwright.lifecycle.rollout.procedure import Rollout
from tests.lifecycle.timeline import Timeline


@dataclass
class Clock:
    time: float = 0.0

    def now(self) -> float:
        return self.time

    def __post_init__(self) -> None:
        self._timeline = Timeline(self.now, self._advance)

    def sleep(self, seconds: float) -> None:
        self._timeline.wait(seconds)

    def start(self, work: Callable[[], None]) -> Kill:
        return self._timeline.start(work)

    def _advance(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Gateways:
    """Gateways that send requests to every replica that is up and not drained."""

    up: set[str]
    manual: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    requests: dict[str, list[int]] = field(default_factory=dict)
    """What `in_flight` answers, one after another; the last stays."""
    waiting: dict[str, list[int]] = field(default_factory=dict)
    """What `queued` answers, in the same way."""
    left: list[str] = field(default_factory=list)
    """Gateways that get no requests."""
    downtimes: list[str] = field(default_factory=list)
    """What the gateways were sent about planned downtime."""

    def healthy(self, model: str) -> set[str]:
        return {name for name in self.up if f"/{model}@" in name} - self.drained - self.manual

    def drained_manually(self) -> set[str]:
        return set(self.manual)

    def drained_by_runs(self) -> set[str]:
        return set(self.drained)

    def drain(self, replica: Replica) -> None:
        self.drained.add(replica.address)

    def in_flight(self, replica: Replica) -> int:
        counts = self.requests.get(replica.address, [0])
        return counts.pop(0) if len(counts) > 1 else counts[0]

    def undrain(self, replica: Replica) -> None:
        self.drained.discard(replica.address)

    def queued(self, model: str) -> int:
        counts = self.waiting.get(model, [0])
        return counts.pop(0) if len(counts) > 1 else counts[0]

    def downtime(self, replica: Replica, seconds: int, *, early: int = 0) -> None:
        self.downtimes.append(f"{replica.model} {seconds}{' early' if early else ''}")

    def end_downtime(self, replica: Replica) -> None:
        self.downtimes.append(f"{replica.model} over")

    def takes_requests(self, gateway: str) -> bool:
        return gateway not in self.left and gateway not in self.manual

    def left_manually(self, gateway: str) -> bool:
        return gateway in self.manual

    def leave(self, gateway: str) -> None:
        if gateway not in self.left:
            self.left.append(gateway)

    def passing(self, gateway: str) -> int:
        counts = self.requests.get(gateway, [0])
        return counts.pop(0) if len(counts) > 1 else counts[0]

    def rejoin(self, gateway: str) -> None:
        self.left = [one for one in self.left if one != gateway]


@dataclass
class Recorder:
    lines: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def append(self, phase: Phase, subject: str, detail: str) -> None:
        self.details.append(detail)
        self.lines.append(f"{subject} {phase}")


def replicas(count: int, model: str = "assistant") -> list[Replica]:
    return [Replica(model, 1, f"gpu{number}", 0) for number in range(1, count + 1)]


def rollout(
    gateways: Gateways, size: int, rules: Rules | None = None, stopping: Callable[[Recorder], bool] = lambda _: False
) -> tuple[Rollout, Recorder]:
    """`stopping` is called with the journal so far."""
    journal = Recorder()
    rules = rules or Rules(max_unavailable=1, drain=10, soak=5, prove=20)
    made = Rollout(gateways, rules, lambda _: size, journal, lambda *_: None, Clock(), lambda: stopping(journal))
    return made, journal


def change(
    replica: Replica,
    act: Callable[[], None] = lambda: None,
    prove: Callable[[], str | None] = lambda: None,
    *,
    check: Callable[[], None] = lambda: None,
    serves: Callable[[], str | None] = lambda: None,
    revert: Revert | None = None,
    idle: bool = False,
) -> Change:
    return Change(
        (replica,),
        "new settings",
        act,
        prove,
        check,
        serves,
        revert,
        frozenset({replica.address} if idle else ()),
        series=replica.model,
    )


def host_change(name: str, *placed: Replica, **fields: Any) -> Change:
    """Return the change of this host, with these replicas on it."""
    made = Change(placed, "new driver", lambda: None, lambda: None, host=name, series="hosts")
    return replace(made, **fields)


def on(host: str, *models: str) -> tuple[Replica, ...]:
    """Return one replica of each of the models on the host."""
    return tuple(Replica(model, 1, host, 0) for model in models)


def served(*placed: Replica) -> Gateways:
    """Return gateways at which all of these serve."""
    return Gateways(up={one.address for one in placed})
