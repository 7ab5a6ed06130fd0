"""Names of hosts and replicas as written on a command line."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet, Replica


def hosts_named(fleet: Fleet, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named hosts in service, groups expanded; by default all. Raise UsageError for unknown names."""
    for name in names:
        if name not in fleet.file.hosts and name not in fleet.file.groups:
            raise unknown(name, (*fleet.file.hosts, *fleet.file.groups), "host or group")
    return tuple(host for host in fleet.named(names) if host in fleet.hosts) if names else fleet.hosts


def replicas_named(fleet: Fleet, name: str) -> tuple[Replica, ...]:
    """Return the replicas of a HOST/MODEL@N, MODEL@N, host or model. Raise UsageError if there are none."""
    found = tuple(one for one in fleet.replicas if name in (one.address, one.name, *one.hosts, one.model))
    if not found:
        known = [replica.address for replica in fleet.replicas] + list(fleet.hosts) + list(fleet.file.models)
        raise unknown(name, tuple(known), "replica, host or model in service")
    return found


@dataclass(frozen=True)
class Drainable:
    """What a name on the command line means for `drain` and `undrain`."""

    replicas: tuple[Replica, ...]
    gateway: str | None
    """The host, if it is a gateway."""

    @property
    def addresses(self) -> list[str]:
        return [replica.address for replica in self.replicas]

    @property
    def text(self) -> str:
        return ", ".join((*self.addresses, *([f"gateway {self.gateway}"] if self.gateway else [])))


def drainable(fleet: Fleet, name: str) -> Drainable:
    """Return the gateway of this name, and the replicas as in replicas_named. Raise UsageError if there is none."""
    if name not in fleet.gateways:
        return Drainable(replicas_named(fleet, name), None)
    return Drainable(tuple(one for one in fleet.replicas if name in one.hosts), name)


def replica_named(fleet: Fleet, name: str) -> Replica:
    """Return the one replica with that name. Raise UsageError if there are several."""
    found = replicas_named(fleet, name)
    if len(found) > 1:
        choices = ", ".join(replica.address for replica in found)
        raise UsageError(f"names {len(found)} replicas", where=name, should=f"should be one of {choices}")
    return found[0]


def unknown_model(fleet: Fleet, name: str) -> UsageError:
    """Return what is wrong with the name of a model that must have engines."""
    if name in fleet.file.routed and name not in fleet.file.models:
        should = "name a model with engines: this one has no weights and no replicas"
        return UsageError("only a cloud answers this model", where=name, should=should)
    return unknown(name, tuple(fleet.file.models), "model")


def unknown(name: str, known: tuple[str, ...], what: str) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    listed = f"known names: {', '.join(known)}" if known else "the fleet file names none"
    hint = f"did you mean {close[0]}?" if close else listed
    return UsageError(f"no {what} of that name", where=name, should=hint)
