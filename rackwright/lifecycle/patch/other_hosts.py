"""The gate of the other hosts: while one of them is down or unhealthy, no further host is patched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.patch.gate_state import Gate, GateState
from rackwright.lifecycle.session.survey import Survey
from rackwright.report.words import counted


@dataclass(frozen=True)
class _Others:
    fleet: Fleet
    survey: Survey
    own: Collection[str]
    quarantined: Mapping[str, str]

    def unasked(self) -> tuple[str, ...]:
        known = {*self.survey.hosts, *self.survey.unreachable, *self.own}
        return tuple(f"{name} wasn't asked" for name in self.fleet.hosts if name not in known)

    def unwell(self) -> Iterator[str]:
        for name in self.fleet.hosts:
            if name in self.own:
                continue
            if name in self.survey.unreachable:
                yield f"{name} can't be reached: {self.survey.unreachable[name]}"
            elif name in self.quarantined:
                yield f"{name} is in quarantine: {self.quarantined[name]}"
        for replica in self.fleet.replicas:
            if replica.host in self.survey.hosts and not set(replica.hosts) & set(self.own):
                yield from self._replica(replica)

    def _replica(self, replica: Replica) -> Iterator[str]:
        drains = self._drains(replica)
        if any(drain.manual for drain in drains):
            return
        state = self.survey.hosts[replica.host].replicas.get(replica.name)
        if drains:
            yield f"{replica.address} is drained by an earlier run: {drains[0].reason}"
        elif state is None:
            yield f"{replica.address} isn't installed"
        elif not state.serves:
            yield f"{replica.address} is {state.said}"

    def _drains(self, replica: Replica) -> tuple[DrainRecord, ...]:
        """Return why gateways have the replica drained."""
        gateways = (self.survey.hosts[name] for name in self.fleet.gateways if name in self.survey.hosts)
        return tuple(one.drains[replica.address] for one in gateways if replica.address in one.drains)


def others_gate(fleet: Fleet, survey: Survey, own: Collection[str], quarantined: Mapping[str, str]) -> Gate:
    """Return whether all hosts but `own` are reached and well. Replicas that an operator drained don't count."""
    others = _Others(fleet, survey, own, quarantined)
    unwell, unasked = tuple(others.unwell()), others.unasked()
    should, listed = "the others should be well", (*unwell, *unasked)
    if unwell:
        found = f"{counted(len(unwell), 'other host or replica is', 'other hosts or replicas are')} not well"
        return Gate("others", GateState.CLOSED, found, should, "rackwright status", listed)
    if unasked:
        return Gate("others", GateState.UNKNOWN, "not all other hosts are known", should, "rackwright status", listed)
    return Gate("others", GateState.OPEN, "all others are well")
