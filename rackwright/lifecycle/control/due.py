"""Which members of the control hosts' etcd must be replaced or restarted. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rackwright.fleet.fleet import Fleet
from rackwright.roles.etcd.settings import MEMBER
from rackwright.roles.etcd.state import EtcdState

Act = Literal["replace", "restart"]


@dataclass(frozen=True)
class DueMember:
    host: str
    act: Act
    why: str
    works: bool = False
    """Whether it works now. Those that don't come first: the others may be needed meanwhile."""

    def __str__(self) -> str:
        """Return like `gate2: replace its etcd member: it has no data`."""
        return f"{self.host}: {self.act} its etcd member: {self.why}"


def due_members(fleet: Fleet, states: Mapping[str, EtcdState], rewritten: frozenset[str]) -> tuple[DueMember, ...]:
    """Return the members that are due, in the order of the work, given the states of hosts that answered.

    `rewritten`: the hosts on which the settings or the certificate of etcd are about to change.
    """
    if len(fleet.control_hosts) == 1:
        return ()
    found = _due(fleet, states, rewritten)
    return tuple(sorted(found, key=lambda due: (due.act != "replace", due.works)))


def _due(fleet: Fleet, states: Mapping[str, EtcdState], rewritten: frozenset[str]) -> Iterator[DueMember]:
    for host in fleet.control:
        state = states.get(host)
        if state is None:
            continue
        if not (state.member and state.data):
            yield DueMember(host, "replace", "it has no data, as on a new machine")
        elif state.ends:
            yield DueMember(host, "restart", f"it ends again and again; if that doesn't help: rm {MEMBER} there")
        elif not state.runs:
            yield DueMember(host, "restart", f"it is {state.active}")
        elif host in rewritten or state.outdated:
            yield DueMember(host, "restart", "its settings or its certificate are new", works=True)
