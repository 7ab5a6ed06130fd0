"""What an apply would do, with nothing changed: steps, ports that would close, engines that would restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from rackwright.errors import FleetError
from rackwright.fleet.model import Replica
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.survey import Survey, Surveyed, survey
from rackwright.roles.firewall.closing import Closing, closing, refusals
from rackwright.roles.replica.unit import render
from rackwright.run import Run


@dataclass(frozen=True)
class Restart:
    """A running engine that was started with other settings than it should have."""

    replica: Replica
    why: str


@dataclass(frozen=True)
class Plan:
    run: Run
    closing: dict[str, tuple[Closing, ...]]
    """Host → listening sockets that the packet filter would close to everyone."""
    restarts: tuple[Restart, ...]
    """One at a time: drained, restarted, proven, returned."""
    surveyed: Survey

    @property
    def empty(self) -> bool:
        return not (self.run.changes or self.restarts or self.run.unreachable or self.run.failed_hosts)


def plan(site: Site, *, only: tuple[str, ...] = ()) -> Plan:
    """Return what would change. Raise FleetError where the fleet file must decide something first."""
    from rackwright.deploys.site import site as deploy

    surveyed = survey(site)
    refuse_filters(site, surveyed)
    reachable = {name: model for name, model in site.models.items() if name in surveyed.hosts}
    run = site.engine.plan(deploy, reachable, only=only)
    return Plan(
        run=run + Run(unreachable=dict(surveyed.unreachable)),
        closing=closing_ports(site, surveyed),
        restarts=tuple(restarts(site, surveyed)) if not only or "replica" in only else (),
        surveyed=surveyed,
    )


def refuse_filters(site: Site, surveyed: Survey) -> None:
    """Raise FleetError naming each packet filter of somebody else's that the fleet file says nothing about."""
    problems = [
        replace(problem, where=f"{name}: {problem.where}")
        for name, host in surveyed.hosts.items()
        for problem in refusals(host.filters, site.models[name].firewall)
    ]
    if problems:
        raise FleetError(problems)


def closing_ports(site: Site, surveyed: Survey) -> dict[str, tuple[Closing, ...]]:
    found = {
        name: closing(host.listening, host.filters, site.models[name].firewall)
        for name, host in surveyed.hosts.items()
    }
    return {name: sockets for name, sockets in found.items() if sockets}


def restarts(site: Site, surveyed: Survey) -> Iterator[Restart]:
    """Return the engines that run with another unit than they should have, in the fleet's order."""
    for replica in site.fleet.replicas:
        host = surveyed.hosts.get(replica.host)
        if host and (why := _outdated(site, host, replica)):
            yield Restart(replica, why)


def _outdated(site: Site, host: Surveyed, replica: Replica) -> str | None:
    state = host.replicas.get(replica.name)
    if state is None or state.active != "active" or state.started is None:
        return None
    (settings,) = (unit for unit in site.models[replica.host].replicas if unit.name == replica.name)
    wanted = sha256(render(settings).encode()).hexdigest()
    return None if state.started == wanted else "it was started with other settings"
