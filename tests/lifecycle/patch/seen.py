"""A fleet of a gateway and two serving hosts, and what its gates see when everything is well."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rackwright.fleet.fleet import Fleet
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.patch.gate_state import Gate
from rackwright.lifecycle.patch.gates import Seen, gates
from rackwright.lifecycle.patch.host_clocks import HostClock
from rackwright.lifecycle.session.survey import Survey, Surveyed
from rackwright.operations.facts.clock import Synchronized
from rackwright.roles.backup.state import BackupState, RepositoryState
from rackwright.roles.replica.state import ReplicaState
from tests.fleet.fleets import make_fleet

NOW = datetime(2026, 11, 29, 1, 30, tzinfo=UTC)
"""Sunday 02:30 in Berlin."""
HOUR = 3600
BACKUP = {"to": [{"name": name, "url": f"/mnt/{name}", "password": "env:P"} for name in ("near", "far")]}


def two_hosts(backup: Any = BACKUP, downloads: Any = None, **patch: Any) -> Fleet:
    hosts = {
        "gate1": {"address": "10.0.0.9"},
        "gpu1": {"address": "10.0.0.11", "service": "10.1.0.11", "fabric": "fd00::11"},
        "gpu2": {"address": "10.0.0.12"},
    }
    placed = {"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]}
    return make_fleet(
        Path("acme.yml"),
        replicas=placed,
        hosts=hosts,
        timezone="Europe/Berlin",
        backup=backup,
        downloads=downloads or {},
        patch=patch,
    )


def replica(probe: str = "ready", reason: str | None = None) -> ReplicaState:
    return ReplicaState("assistant@1", "active", probe, None, None, "", reason=reason)


def backups(**ages: int | None) -> BackupState:
    return BackupState({name: RepositoryState(name, "f00", age) for name, age in ages.items()}, "0.18.0")


def surveyed(
    *replicas: ReplicaState, backup: BackupState | None = None, drains: dict[str, DrainRecord] | None = None
) -> Surveyed:
    """Return a host; what gates don't look at is left out."""
    found = SimpleNamespace(
        replicas={one.replica: one for one in replicas},
        backup=backup or backups(near=HOUR, far=HOUR),
        drains=drains or {},
    )
    return cast(Surveyed, found)


def survey(unreachable: dict[str, str] | None = None, **changed: Surveyed | None) -> Survey:
    """Return a survey in which all is well, except for the hosts that are named."""
    well: dict[str, Surveyed | None] = {
        "gate1": surveyed(),
        "gpu1": surveyed(replica()),
        "gpu2": surveyed(replica()),
        **changed,
    }
    return Survey({name: host for name, host in well.items() if host}, unreachable or {})


def clock(offset: float = 0, synchronized: Synchronized = Synchronized.YES) -> HostClock:
    return HostClock(offset, synchronized)


def seen(**changed: Any) -> Seen:
    well: dict[str, Any] = {
        "now": NOW,
        "survey": survey(),
        "clocks": dict.fromkeys(("gate1", "gpu1", "gpu2"), clock()),
        "alerts": None,
    }
    return Seen(**well | changed)


def gate_of(name: str, fleet: Fleet, host: str, found: Seen, **more: Any) -> Gate:
    (gate,) = (gate for gate in gates(fleet, host, found, **{"seconds": 1200} | more) if gate.name == name)
    return gate
