"""What an operator may write on a command line to name hosts and replicas."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet, Replica


def hosts_named(fleet: Fleet, names: tuple[str, ...]) -> tuple[str, ...]:
    """Given hosts and groups, return the hosts in service; given none, all. Raise UsageError for an unknown one."""
    for name in names:
        if name not in fleet.file.hosts and name not in fleet.file.groups:
            raise unknown(name, (*fleet.file.hosts, *fleet.file.groups), "host or group")
    return tuple(host for host in fleet.named(names) if host in fleet.hosts) if names else fleet.hosts


def replicas_named(fleet: Fleet, name: str) -> tuple[Replica, ...]:
    """Given HOST/MODEL@N, MODEL@N, a host or a model, return its replicas. Raise UsageError if it names none."""
    found = tuple(one for one in fleet.replicas if name in (one.address, one.name, *one.hosts, one.model))
    if not found:
        known = [replica.address for replica in fleet.replicas] + list(fleet.hosts) + list(fleet.file.models)
        raise unknown(name, tuple(known), "replica, host or model in service")
    return found


def replica_named(fleet: Fleet, name: str) -> Replica:
    """Return the one replica of that name. Raise UsageError if there are several."""
    found = replicas_named(fleet, name)
    if len(found) > 1:
        choices = ", ".join(replica.address for replica in found)
        raise UsageError(f"names {len(found)} replicas", where=name, should=f"one of {choices}")
    return found[0]


def unknown(name: str, known: tuple[str, ...], what: str) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return UsageError(f"no {what} of that name", where=name, should=hint)
