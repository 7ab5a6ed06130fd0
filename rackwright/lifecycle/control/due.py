"""Which members of the control hosts' etcd must be replaced or restarted, and whose disks fail them. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rackwright.fleet.fleet import Fleet
from rackwright.roles.etcd.settings import DATA, MEMBER
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
        elif state.ends and state.low:
            # It starts on its own when there is space. `disk_warnings` names it.
            continue
        elif state.ends:
            yield DueMember(host, "restart", f"it ends again and again; if that doesn't help: rm {MEMBER} there")
        elif not state.runs:
            yield DueMember(host, "restart", f"it is {state.active}")
        elif host in rewritten or state.outdated:
            yield DueMember(host, "restart", "its settings or its certificate are new", works=True)


def disk_warnings(fleet: Fleet, states: Mapping[str, EtcdState]) -> Iterator[str]:
    """Yield what the disks of members need attention for, given the states of hosts that answered."""
    for host in fleet.control if len(fleet.control_hosts) > 1 else ():
        state = states.get(host, EtcdState())
        if state.low:
            yield (
                f"{host}: the disk of {DATA} has {state.left} MiB left; without space its etcd member ends, and "
                f"starts again on its own when there is some; next: df -h {DATA} there"
            )
        if state.slow:
            times = "once" if state.slow == 1 else f"{state.slow} times"
            yield (
                f"{host}: its disk took over a second for a write of etcd, {times} in the last hour; "
                f"next: see what else uses the disk of {DATA}, which should be an SSD"
            )
