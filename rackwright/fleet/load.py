"""Load a fleet file: read it, merge it and check it, and report every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.fleet_file import FleetFile
from rackwright.fleet.reading.error_messages import validated
from rackwright.fleet.reading.merge import read_extended, with_hosts_resolved
from rackwright.fleet.reading.nodes import Entries, Findings, leaves
from rackwright.fleet.reading.rules import check_rules
from rackwright.fleet.recorded_control import recorded_control
from rackwright.fleet.sections.hosts import Group, HostSettings
from rackwright.fleet.sections.models import Placement


def load_fleet(path: Path) -> Fleet:
    """Return the fleet of a fleet file. Raise FleetError with every problem, each with file, line and key."""
    findings = Findings()
    extended = read_extended(path, findings)
    resolved = with_hosts_resolved(extended.root, findings)
    lock = path.with_name(f"{path.stem}.lock")
    check_rules(resolved, path.parent, findings, locked=lock.exists())
    _check_settings(extended.root, findings)
    file = validated(FleetFile, resolved, findings, also=("defaults", "extends"))
    problems = findings.problems(tuple(str(source) for source in extended.paths))
    if problems or file is None:
        raise FleetError(problems)
    return Fleet(
        path=path,
        file=file,
        replicas=_replicas(file),
        sources=extended.paths,
        origins=_origins(resolved),
        recorded=recorded_control(lock),
    )


def _check_settings(root: Entries, findings: Findings) -> None:
    """Check defaults and groups on their own, too, because maybe no host uses them."""
    if (defaults := root.get("defaults")) is not None:
        validated(HostSettings, defaults, findings)
    for _, group in root.maps("groups"):
        validated(Group, group, findings)


def _replicas(file: FleetFile) -> tuple[Replica, ...]:
    replicas = []
    for model, settings in file.models.items():
        counted: dict[str, int] = {}
        for placement in settings.place:
            for hosts in _placed(file, placement):
                there = all(file.hosts[host].disabled is None for host in hosts)
                for _ in range(placement.replicas):
                    # One number on all its hosts, so that logs and units use the same name. The number stays
                    # reserved while one of the hosts is disabled, or other replicas would be renamed.
                    number = 1 + max(counted.get(host, 0) for host in hosts)
                    counted |= dict.fromkeys(hosts, number)
                    members = hosts if len(hosts) > 1 else ()
                    replicas += [Replica(model, number, hosts[0], placement.gpus, members)] if there else []
    return tuple(replicas)


def _placed(file: FleetFile, placement: Placement) -> Iterator[tuple[str, ...]]:
    """Yield the hosts of each replica of a placement."""
    for entry in (placement.on,) if isinstance(placement.on, str) else placement.on:
        if isinstance(entry, str):
            yield from ((host,) for host in file.named(entry))
        else:
            yield file.named(entry)


def _origins(resolved: Entries) -> Mapping[str, Mapping[str, str]]:
    return {
        host: {setting: f"{_layer(node.path)}, {node.place}" for setting, node in leaves(settings)}
        for host, settings in resolved.maps("hosts")
    }


def _layer(path: tuple[str, ...]) -> str:
    return {"groups": f"group {path[1]}", "hosts": f"host {path[1]}"}.get(path[0], path[0])
