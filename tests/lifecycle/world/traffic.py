"""Clients of a simulated fleet with a canary: its gateways' access logs, and a simple verdict on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.fleet.sections.canary import Canary
from rackwright.gateway import parts_of
from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Evidence, Traffic, Verdict, Word

if TYPE_CHECKING:
    from tests.lifecycle.world.session import SimulatedSession

RATE = 4.0
"""Requests per second; each is a separate conversation."""
LIVE_SECONDS = 300
"""How long a share lasts if it isn't renewed."""


@dataclass(frozen=True)
class Share:
    """The share that one gateway gives a canary."""

    address: str
    percent: float
    until: float


@dataclass
class SimulatedLogs:
    """A stand-in for AccessLogs of lifecycle/canary/logs.py."""

    session: SimulatedSession
    wanted: str
    _read: float = 0.0
    _asked: int = 0

    def begin(self) -> None:
        self._reach()
        self._read = self.session.world.now

    def read(self) -> list[Access]:
        self._reach()
        world = self.session.world
        requests = int((world.now - self._read) * RATE * world.busy)
        self._read = world.now
        model = self.wanted.removeprefix('"model":"').partition('"')[0]
        share = next((one for gate in world.gates.values() if (one := gate.share(model, world.now))), None)
        if share is None:
            return []
        canary = int(requests * share.percent / 100 + 0.999)
        failing, parts = world.fails_clients(share.address), parts_of(share.percent)
        numbers = range(self._asked, self._asked + requests)
        self._asked += requests
        return [_line(number % parts, share.address, failed=failing) for number in numbers[:canary]] + [
            _line(parts + number % (1_000_000 - parts), None, failed=False) for number in numbers[canary:]
        ]

    def _reach(self) -> None:
        list(self.session.gateways.servers())


def _line(number: int, canary: str | None, *, failed: bool) -> Access:
    return Access.model_construct(
        canary=canary is not None,
        replica=canary,
        conversation=number,
        status=500 if failed else 200,
        end="completed",
        stream=True,
        first_byte_ms=100,
        total_ms=200,
        queued_ms=0,
        completion_tokens=None,
    )


def verdict_on(evidence: Evidence, rules: Canary) -> Verdict:
    """Replaces the statistics: it looks at errors only, and is INCONCLUSIVE below 20 requests."""
    candidate, running = evidence.candidate, evidence.running
    if _failed(candidate) > _failed(running) + 0.1:
        return Verdict(Word.FAIL, "errors rise", (), 0.95, 0.95)
    if len(candidate.requests) < 20:
        return Verdict(Word.INCONCLUSIVE, f"{len(candidate.requests)} requests", (), 0.95, 0.95)
    return Verdict(Word.PASS, "no errors", (), 0.95, 0.95)


def _failed(traffic: Traffic) -> float:
    return sum(one.error for one in traffic.requests) / max(1, len(traffic.requests))
