"""Plan an apply, changing nothing: steps, ports that would close, engines that would restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Replica
from rackwright.fleet.lock_file import other_tool
from rackwright.lifecycle.apply.dropped_names import DroppedName, dropped_names
from rackwright.lifecycle.apply.effects import ModelRestart, model_restarts
from rackwright.lifecycle.apply.retiring import Retirement, retirement
from rackwright.lifecycle.apply.stages import includes
from rackwright.lifecycle.check.fit import doubts, refuse_unfit
from rackwright.lifecycle.control.due import DueMember, due_members
from rackwright.lifecycle.drain.missing import MissingDrain, missing_drains
from rackwright.lifecycle.gpus.assignment import Deferred, deferred, gpus_given, other_gpus, refuse_gpus
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed, survey
from rackwright.roles.backup.settings import OLDEST_RESTIC
from rackwright.roles.etcd.settings import CERTIFICATE
from rackwright.roles.fail2ban.bans import bans_us
from rackwright.roles.firewall.closing import Closing, closing, locks_out, refusals
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.nvidia_driver.refusals import refusals as driver_refusals
from rackwright.roles.people.refusals import refusals as people_refusals
from rackwright.roles.replica.gpus import Given
from rackwright.roles.replica.unit import unit_digest
from rackwright.roles.sshd.lockout import locks_out as sshd_locks_out
from rackwright.run import Outcome, Run

ETCD = "etcd"
_CERTIFICATE = f"the certificate {CERTIFICATE} "
_DEPLOYS = tuple(f"rackwright.deploys.{name}" for name in ("baseline", "gpu", "serve", "gateway", "backup", "site"))


@dataclass(frozen=True)
class Restart:
    """A running engine that was started with other settings than it should have."""

    replica: Replica
    why: str
    rewritten: bool = True
    """Its unit changes. If it doesn't, there is nothing to revert to: the unit kept is from an earlier change."""


@dataclass(frozen=True)
class Plan:
    run: Run
    closing: dict[str, tuple[Closing, ...]]
    """Host → listening sockets that the packet filter would close to everyone."""
    restarts: tuple[Restart, ...]
    """One at a time: drained, restarted, proven, undrained."""
    deferred: tuple[Deferred, ...]
    """Not started, or only after other replicas release their GPUs."""
    returns: tuple[Replica, ...]
    """Left drained by an earlier run, which has ended if this one has the lease; undrained when they answer."""
    drains: tuple[MissingDrain, ...]
    """Manual drains that a gateway lacks; apply copies them to it."""
    first_snapshots: tuple[tuple[str, str], ...]
    """Host and repository of those that have none yet; made at the end of an apply."""
    surveyed: Survey
    doubts: tuple[str, ...] = ()
    """Models for which it isn't known whether they fit."""
    retirement: Retirement = field(default_factory=Retirement)
    """Replicas that serve and that the fleet file no longer places."""
    model_restarts: tuple[ModelRestart, ...] = ()
    """The restarts as clients see them."""
    dropped: tuple[DroppedName, ...] = ()
    """Names that clients could use so far."""
    pace: str = ""
    """How many of a model's engines restart at the same time, in words."""
    gateways: tuple[str, ...] = ()
    members: tuple[DueMember, ...] = ()
    """Members of the control hosts' etcd to replace or restart, one after the other."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        engines = self.restarts or self.returns or self.drains
        to_do = self.run.changes or engines or self.first_snapshots or self.members
        return not (to_do or self.run.unreachable or self.run.failed_hosts)


def plan(session: Session, *, only: tuple[str, ...] = ()) -> Plan:
    """Return what would change. Raise FleetError if something must be decided in the fleet file first."""
    from rackwright.remote import Background, import_gently

    if problem := other_tool(session.fleet, session.lock):
        raise FleetError([problem])
    surveying = Background(lambda: survey(session))
    # Import this while the hosts answer.
    Background(lambda: import_gently("rackwright.runner._pyinfra", "pyinfra.api", *_DEPLOYS))
    run = session.runner.plan(_whole_site, session.hosts, only=only)
    surveyed = surveying.result()
    refuse_firewall(session, surveyed)
    refuse_sshd(session)
    refuse_restic(session, surveyed)
    refuse_people(session, surveyed)
    refuse_bans(session, surveyed)
    refuse_driver(session, surveyed)
    refuse_gpus(session, surveyed)
    refuse_unfit(session, surveyed)
    engines = includes(only, "replica")
    restarting = tuple(restarts(session, surveyed)) if engines else ()
    restarted = {restart.replica for restart in restarting}
    waiting = tuple(deferred(session, surveyed, restarted)) if engines else ()
    return Plan(
        run=Run(unreachable=dict(surveyed.unreachable)) + run,
        closing=closing_ports(session, surveyed) if includes(only, "firewall") else {},
        restarts=restarting,
        deferred=waiting,
        returns=tuple(left_drained(session, surveyed)),
        drains=tuple(missing_drains(session, surveyed)),
        first_snapshots=tuple(first_snapshots(session, surveyed)) if includes(only, "backup") else (),
        surveyed=surveyed,
        doubts=doubts(session, surveyed) if engines else (),
        retirement=retirement(session, surveyed, run),
        model_restarts=model_restarts(session, surveyed, [restart.replica for restart in restarting], waiting),
        dropped=dropped_names(session, surveyed, run),
        pace=session.fleet.file.rollout.pace,
        gateways=session.fleet.gateways,
        members=_members(session, surveyed, run) if includes(only, ETCD) else (),
    )


def _members(session: Session, surveyed: Survey, run: Run) -> tuple[DueMember, ...]:
    changing = (step for step in run.steps if step.outcome is Outcome.WOULD_CHANGE)
    rewritten = frozenset(step.host for step in changing if step.role == ETCD or _CERTIFICATE in step.operation)
    return due_members(session.fleet, {name: host.etcd for name, host in surveyed.hosts.items()}, rewritten)


def _whole_site() -> None:
    # It imports pyinfra.
    from rackwright.deploys.site import site as deploy

    deploy()


def refuse_firewall(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each host whose new packet filter would lock rackwright out, and each foreign packet
    filter that the fleet file doesn't mention."""
    problems = [
        replace(problem, where=f"{name}: {problem.where}")
        for name, host in surveyed.hosts.items()
        for problem in _firewall_problems(host, session.hosts[name].firewall)
    ]
    if problems:
        raise FleetError(problems)


def refuse_restic(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each host whose restic is too old for its backups."""
    problems = [
        Problem(
            f"{name}: backup",
            f"restic {host.backup.restic} is too old",
            f"should be {OLDEST_RESTIC} or newer",
            f"install a newer one in /usr/local/bin on {name}",
        )
        for name, host in surveyed.hosts.items()
        if session.hosts[name].backup and host.backup.restic_is_old
    ]
    if problems:
        raise FleetError(problems)


def refuse_driver(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each host with a driver for which the fleet file doesn't say what to do."""
    problems = [
        replace(problem, where=f"{name}: {problem.where}")
        for name, host in surveyed.hosts.items()
        for problem in driver_refusals(host.driver, session.hosts[name].driver, host.hardware)
    ]
    if problems:
        raise FleetError(problems)


def first_snapshots(session: Session, surveyed: Survey) -> Iterator[tuple[str, str]]:
    """Yield host and repository of each backup without a good snapshot."""
    for name, host in surveyed.hosts.items():
        backup = session.hosts[name].backup
        for repository in backup.saving if backup else ():
            if host.backup.of(repository).snapshot is None:
                yield name, repository.name


def refuse_people(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each account that rackwright may not change, and each change that would lock it out."""
    problems = [
        replace(problem, where=f"{name}: {problem.where}")
        for name, host in surveyed.hosts.items()
        for problem in people_refusals(host.people, session.hosts[name].people, _login_key(session, name))
    ]
    if problems:
        raise FleetError(problems)


def _login_key(session: Session, name: str) -> str | None:
    return None if session.fleet.is_local(name) else session.remote.connection(name).login_key


def _firewall_problems(host: Surveyed, settings: Firewall) -> Iterator[Problem]:
    yield from refusals(host.filters, settings)
    if host.connected and (problem := locks_out(settings, host.connected.source, host.connected.own)):
        yield problem


def refuse_sshd(session: Session) -> None:
    """Raise FleetError naming each host whose new sshd settings would lock rackwright out; no host is asked."""
    from rackwright.remote.known_hosts import lookup

    problems = []
    for name, spec in session.hosts.items():
        target = session.remote.connection(name).target
        pinned = [key.type for key in lookup(target).keys]
        if target.address != "@local" and (problem := sshd_locks_out(spec.baseline.sshd, pinned)):
            problems.append(replace(problem, where=f"{name}: {problem.where}"))
    if problems:
        raise FleetError(problems)


def refuse_bans(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each host whose fail2ban could lock rackwright out."""
    problems = []
    for name, host in surveyed.hosts.items():
        spec = session.hosts[name]
        problem = host.connected and bans_us(spec.baseline.fail2ban, spec.never_shut_out, host.connected.source)
        if problem:
            problems.append(replace(problem, where=f"{name}: {problem.where}"))
    if problems:
        raise FleetError(problems)


def closing_ports(session: Session, surveyed: Survey) -> dict[str, tuple[Closing, ...]]:
    found = {
        name: closing(host.listening, host.filters, session.hosts[name].firewall)
        for name, host in surveyed.hosts.items()
    }
    return {name: sockets for name, sockets in found.items() if sockets}


def restarts(session: Session, surveyed: Survey) -> Iterator[Restart]:
    """Yield the engines that run with another unit or other GPUs than they should have, in the fleet's order."""
    gpus = {name: gpus_given(session.hosts[name].replicas, host) for name, host in surveyed.hosts.items()}
    for replica in session.fleet.replicas:
        # The first member is drained and restarted; the others follow it.
        looked_at = [name for name in replica.hosts if name in surveyed.hosts and replica.host in surveyed.hosts]
        reasons = (_outdated(session, name, surveyed.hosts[name], replica, gpus[name]) for name in looked_at)
        if why := next(filter(None, reasons), None):
            yield Restart(
                replica, why, any(_rewritten(session, name, surveyed.hosts[name], replica) for name in looked_at)
            )


def left_drained(session: Session, surveyed: Survey) -> Iterator[Replica]:
    """Yield the replicas that a run drained, not an operator. Under the lease, that run has ended."""
    drains = [drain for host in surveyed.hosts.values() for drain in host.drains.items()]
    left = {address for address, record in drains if not record.manual}
    yield from (
        replica for replica in session.fleet.replicas if replica.address in left and replica.host in session.hosts
    )


def _outdated(session: Session, name: str, host: Surveyed, replica: Replica, gpus: Given) -> str | None:
    state = host.replicas.get(replica.name)
    if state is None or state.active != "active" or state.started is None:
        return None
    current = state.started_on(unit_digest(unit_of(session, replica, name)))
    return other_gpus(state, gpus) if current else "it was started with other settings"


def _rewritten(session: Session, name: str, host: Surveyed, replica: Replica) -> bool:
    state = host.replicas.get(replica.name)
    return state is None or not state.is_written(unit_digest(unit_of(session, replica, name)))
