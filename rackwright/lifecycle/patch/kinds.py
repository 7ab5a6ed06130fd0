"""Kinds of hosts: those that get exactly the same packages. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.package_set import PackageChange
from rackwright.roles.patch.state import PatchState
from rackwright.values.base import Stored
from rackwright.values.text import Line, Name


class Kind(Stored):
    """Hosts with the same release, architecture and changes, and with the same coming set of driver and kernel."""

    name: Line
    """16 hex digits of the sha256 of what the hosts have in common."""
    system: Line
    """ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: Line
    driver: Line | None = None
    """Name in the next lock of the set of driver and kernel; None: it stays as it is."""
    hosts: tuple[Name, ...]
    """In the order of the run. What the first one proved, the others get."""
    changes: tuple[PackageChange, ...]


@dataclass(frozen=True)
class Wanted:
    """What one host would get."""

    state: PatchState
    driver: str | None = None
    """Name of its coming set, if that isn't the one that it has."""


def kinds_of(wanted: Mapping[str, Wanted]) -> tuple[Kind, ...]:
    """Given what each host would get, in the order of the run, return the kinds in that order."""
    grouped: dict[str, list[str]] = {}
    for host, one in wanted.items():
        if one.state.offered or one.driver:
            grouped.setdefault(_digest(one), []).append(host)
    return tuple(_kind(name, tuple(hosts), wanted[hosts[0]]) for name, hosts in grouped.items())


def _kind(name: str, hosts: tuple[str, ...], wanted: Wanted) -> Kind:
    state = wanted.state
    return Kind(
        name=name,
        system=state.system,
        architecture=state.architecture,
        driver=wanted.driver,
        hosts=hosts,
        changes=tuple(offered.change for offered in state.offered),
    )


def _digest(wanted: Wanted) -> str:
    state = wanted.state
    lines = [f"{state.system} {state.architecture}", f"driver {wanted.driver or ''}"]
    lines += sorted(_line(offered.change) for offered in state.offered)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:16]


def _line(change: PackageChange) -> str:
    package = change.package
    return f"{package.name} {package.architecture} {change.before or ''} {package.version} {package.sha256}"
