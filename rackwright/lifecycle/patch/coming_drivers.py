"""The sets of driver and kernel that the next lock would have, and whether their modules build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rackwright.errors import FleetError, HostError
from rackwright.fleet.lock import driver_of
from rackwright.lifecycle.lock.driver_sets import resolve_drivers
from rackwright.lifecycle.patch.findings import SetChange
from rackwright.lifecycle.patch.try_build import Tried, try_build

if TYPE_CHECKING:
    from rackwright.lifecycle.session.session import Session


@dataclass(frozen=True)
class Coming:
    sets: Mapping[str, SetChange] = field(default_factory=dict)
    """By host: those whose driver rackwright installs."""
    problems: tuple[str, ...] = ()
    """Why the next lock's sets aren't known."""


def coming_drivers(session: Session, hosts: Collection[str]) -> Coming:
    """Return each host's set in the next lock, as `lock --upgrade` would resolve it now. Writes no lock."""
    lock = session.lock
    if not any(host in locked.hosts for locked in lock.drivers.values() for host in hosts):
        return Coming()
    try:
        drivers = resolve_drivers(session.fleet, lock, upgrade=True, hosts=hosts)
    except (FleetError, HostError) as error:
        return Coming(problems=tuple(problem.line() for problem in error.problems))
    sets = {
        host: SetChange(driver_of(lock, host), coming)
        for coming in drivers.values()
        for host in coming.hosts
        if host in hosts
    }
    return Coming(sets)


def trial_builds(session: Session, order: tuple[str, ...], coming: Coming) -> tuple[Tried, ...]:
    """Build the modules of each new set on the first host that would get it. Installs nothing."""
    first: dict[str, str] = {}
    for host in order:
        change = coming.sets.get(host)
        if change and not change.same:
            first.setdefault(change.coming.name, host)
    tried = session.remote.each(first.values(), lambda host: _tried(session, host, coming.sets[host]))
    return tuple(tried.values())


def _tried(session: Session, host: str, change: SetChange) -> Tried:
    options = session.hosts[host].downloads.route.curl_options
    try:
        return try_build(session.remote.connection(host), change.coming, options)
    except HostError as error:
        why = error.problems[0].what
        return Tried(host, change.coming.version, change.coming.kernel, "unknown", (why,))
