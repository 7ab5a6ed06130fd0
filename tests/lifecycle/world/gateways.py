"""Simulated gateways, with the interface of rackwright.gateway.Gateways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rackwright.errors import HostError
from rackwright.gateway import CanaryShare, DrainRecord, ServerState, merged
from tests.lifecycle.world.store import moment
from tests.lifecycle.world.traffic import LIVE_SECONDS, Share
from tests.lifecycle.world.world import Gate, Process, World


@dataclass(frozen=True)
class SimulatedGateways:
    world: World
    process: Process
    hosts: tuple[str, ...]

    def only(self, hosts: Iterable[str]) -> SimulatedGateways:
        return SimulatedGateways(self.world, self.process, tuple(hosts))

    def servers(self) -> dict[str, ServerState]:
        return merged({gate.name: self._states(gate) for gate in self._each()})

    def in_flight(self, address: str) -> int:
        return self.servers()[address].in_flight

    def drain(self, address: str, *, who: str, reason: str, manual: bool = True) -> None:
        self.process.breathe()
        if not manual:
            self.world.refuse_over_budget(address, self.process)
        record = DrainRecord(who=who, reason=reason, manual=manual, time=datetime.now(UTC))
        for gate in self._each():
            if manual or address not in gate.drained:
                gate.records[address] = record
            gate.drained.add(address)
            gate.unshare(address)
            self._note(gate, f"drain {address}")

    def undrain(self, address: str) -> None:
        for gate in self._each():
            gate.records.pop(address, None)
            gate.drained.discard(address)
            gate.unshare(address)
            self._note(gate, f"ready {address}")

    def queued(self, model: str) -> int:
        return 0 * len(list(self._each()))

    def open_downtime(self, model: str, seconds: int, *, early: int = 0) -> None:
        for gate in self._each():
            gate.downtimes.add(model)
            self._note(gate, f"downtime {model}")

    def close_downtime(self, model: str) -> None:
        for gate in self._each():
            gate.downtimes.discard(model)
            self._note(gate, f"end of downtime {model}")

    def set_canary(
        self, address: str, percent: float, *, digest: str, rollout: str, seconds: int = LIVE_SECONDS
    ) -> None:
        model = self.world.replica(address).model
        for gate in self._each():
            gate.shares[model] = Share(address, percent, self.world.now + seconds)
            self._note(gate, f"share {percent:g} {address}")

    def check_canaries(self) -> None:
        list(self._each())

    def end_canary(self, model: str) -> None:
        for gate in self._each():
            gate.shares.pop(model, None)
            self._note(gate, f"end of share {model}")

    def _note(self, gate: Gate, what: str) -> None:
        self.world.changed(self.process, f"{gate.name}: {what}")

    def _each(self) -> Iterator[Gate]:
        """Yield the reachable gateways; then raise HostError if there were others."""
        self.process.give_way()
        lost = []
        for name in self.hosts:
            gate = self.world.gates[name]
            if gate.sends:
                yield gate
            else:
                lost.append(name)
        if lost:
            raise HostError("; ".join(f"{name}: unreachable" for name in lost), next="rackwright status")

    def _states(self, gate: Gate) -> dict[str, ServerState]:
        first = gate.name == self.hosts[0]
        return {
            one.address: ServerState(
                host=one.host,
                replica=one.name,
                drained=one.address in gate.drained,
                up=one.address in self.world.seen,
                in_flight=self.world.in_flight(one.address) if first else 0,
                record=gate.records.get(one.address),
                canary=_canary(gate.share(one.model, self.world.now), one.address),
            )
            for one in self.world.fleet.replicas
        }


def _canary(share: Share | None, address: str) -> CanaryShare | None:
    if share is None or share.address != address:
        return None
    return CanaryShare(share.percent, moment(share.until), "run")
