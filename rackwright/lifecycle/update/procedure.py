"""Update models or runtimes under traffic: fetch next to the old version, update the replicas, promote the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from rackwright.errors import HostsFailed, RackwrightError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.apply.plan import Plan, plan
from rackwright.lifecycle.canary.choose import canaries_of
from rackwright.lifecycle.p2p.prefetch import Prefetch, prefetch_weights
from rackwright.lifecycle.p2p.procedure import Transferred
from rackwright.lifecycle.p2p.receivers import is_supplied
from rackwright.lifecycle.p2p.relay import relay_lost_weights
from rackwright.lifecycle.rollout.outage_needs import require_outages
from rackwright.lifecycle.session.agreements import Agreements, command
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.remember import compared, refuse_stale_checkout
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import apply_leased, leased
from rackwright.lifecycle.update.next_lock import remove_next, write_next
from rackwright.lifecycle.update.promote import promote
from rackwright.lifecycle.update.unfinished import Work, complete
from rackwright.roles.replica.unit import unit_digest
from rackwright.run import Outcome, Run
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from rackwright.state.journal import Event, seconds_away
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import Rollout, write_rollout
from rackwright.stopping import Stopping, stoppable

SURVEY = "Survey the hosts"
PREFETCH = "Fetch weights and runtimes next to the old ones"
ROLL = "Update the replicas"
STAGES = (SURVEY, PREFETCH, ROLL)
_OURS = ("llama_cpp", "vllm", "model_store", "p2p", "replica", "gateway", "backup")
"""Roles whose steps an update carries out."""


@dataclass(frozen=True)
class Asked:
    """A change from the lock `before` to the session's lock."""

    what: str
    """The command, like `model update assistant`."""
    before: Lock
    models: tuple[str, ...]
    canary: bool = True
    """Whether models with a `canary` in the fleet file are tried on a canary first."""
    not_stale: bool = False
    """As in the options of an apply."""
    unattended: Agreements | None = None
    """None: a person is asked, or has agreed with options."""


@dataclass(frozen=True)
class Downtime:
    """The planned downtime of a model with one replica: while that is updated, no other serves."""

    model: str
    seconds: int | None
    """As measured the last time; None: not measured yet."""

    @property
    def said(self) -> str:
        took = f"about {self.seconds} s, as last time" if self.seconds else "for how long was not measured yet"
        return f"{self.model} has one replica and is down while that is updated ({took})"


@dataclass(frozen=True)
class Look:
    """What an update is about to do."""

    replicas: tuple[Replica, ...]
    downtimes: tuple[Downtime, ...]
    plan: Plan
    canaries: tuple[str, ...]
    """Models whose first replica is a canary."""
    files: str
    """Digest of the fleet file as it is now: it may be edited while weights are fetched."""


@dataclass(frozen=True)
class Updated:
    """The result of an update."""

    replicas: tuple[Replica, ...] = ()
    transferred: tuple[Transferred, ...] = ()


def update(session: Session, asked: Asked, console: Console, confirm: Callable[[Look], tuple[str, ...]]) -> Updated:
    """Bring the replicas of these models to the session's lock and make it NAME.lock; return which were changed.

    `confirm` gets what is to be done, raises to stop, and returns the models that may be down during the update.
    Weights and runtimes are on every host before the first replica is drained; a failure before that leaves the
    running service unchanged. Raise as `complete` does, HostsFailed if weights or runtimes can't be fetched,
    LeasedError if another operator has the lease.
    """
    with leased(session, command(asked.what, asked.unattended), console) as lease_session:
        console.stage(SURVEY, STAGES)
        look = _look(session, asked, console)
        if not look.replicas:
            # A commit may change only files that no engine uses.
            if asked.before != session.lock:
                promote(session, lease_session, console, asked.unattended)
            remove_next(session.fleet)
            return Updated()
        outages = confirm(look)
        require_outages(session, asked.unattended, console, replicas=look.replicas)
        write_next(session.fleet, session.lock)
        with stoppable(console.heard) as stopping:
            console.stage(PREFETCH, STAGES)
            transferred = _prefetch(session, lease_session, look, console, stopping)
            console.stage(ROLL, STAGES)
            rollout = _open(session, lease_session, asked, look, outages)
            changed = complete(Work(session, lease_session, rollout, console, stopping, asked.unattended))
            return Updated(changed, transferred)


def _look(session: Session, asked: Asked, console: Console) -> Look:
    planned = plan(session)
    refuse_moved(session.fleet, planned.surveyed.control)
    refuse_stale_checkout(compared(session), console, not_stale=asked.not_stale, unattended=asked.unattended)
    _refuse_same_version(asked.before, session.lock)
    _refuse_lost(planned)
    _refuse_other_changes(planned, _other_engines(session, planned, asked.models))
    replicas = [one for one in session.fleet.replicas if one.model in asked.models]
    _refuse_absent(planned, replicas)
    due = tuple(one for one in replicas if not _current(session, planned, one))
    alone = dict.fromkeys(one.model for one in due if len(session.fleet.replicas_of(one.model)) == 1)
    entries = session.store.entries() if alone else ()
    downtimes = tuple(Downtime(model, seconds_away(entries, model)) for model in alone)
    canaries = canaries_of(session, {one.model for one in due}) if asked.canary else ()
    return Look(due, downtimes, planned, canaries, files_digest(session.fleet))


def _refuse_same_version(before: Lock, after: Lock) -> None:
    """Each version has the folder of its name, so two builds can't have the same version."""
    both = sorted(before.runtimes.keys() & after.runtimes.keys())
    if changed := [key for key in both if before.runtimes[key].digest != after.runtimes[key].digest]:
        raise RackwrightError(
            f"another build has the same version: {', '.join(changed)}",
            should="it would replace the files of running engines",
            next="give the new build a version of its own in the fleet file",
        )


def _refuse_lost(planned: Plan) -> None:
    if planned.run.unreachable:
        listed = [f"{name}: {why}" for name, why in planned.run.unreachable.items()]
        raise HostsFailed(
            "an update needs every host, and these can't be reached",
            should="bring them back, or set disabled for them in the fleet file",
            next="rackwright status",
            listed=listed,
        )


def _refuse_other_changes(planned: Plan, engines: Iterable[str]) -> None:
    """Refuse changes that only an apply carries out: they come first, so that the rollout is about one thing."""
    steps = [step for step in planned.run.steps if step.outcome is Outcome.WOULD_CHANGE and step.role not in _OURS]
    listed = [*dict.fromkeys(f"{step.host}: {step.role}: {step.operation}" for step in steps), *engines]
    if listed:
        raise RackwrightError(
            "the fleet file has other changes that aren't applied yet",
            should="apply them first, or undo them in the fleet file",
            next="rackwright plan",
            listed=listed[:10],
        )


def _other_engines(session: Session, planned: Plan, models: tuple[str, ...]) -> Iterator[str]:
    """Yield engines of other models that wait for an apply: gateways would list versions that don't run yet."""
    others = tuple(one for one in session.fleet.replicas if one.model not in models)
    for unit, digest in units_of(session, others).items():
        host, _, name = unit.partition("/")
        state = planned.surveyed.hosts[host].replicas.get(name)
        if state is None or not state.is_written(digest):
            yield f"{unit}: its engine's settings"


def _serves(planned: Plan, replica: Replica) -> bool:
    return planned.surveyed.hosts[replica.host].replicas[replica.name].serves


def _refuse_absent(planned: Plan, replicas: list[Replica]) -> None:
    hosts = planned.surveyed.hosts
    absent = [one.address for one in replicas if any(one.name not in hosts[host].replicas for host in one.hosts)]
    if absent:
        raise RackwrightError(
            f"not installed yet: {', '.join(absent)}",
            should="an update needs installed replicas",
            next="rackwright apply",
        )


def _current(session: Session, planned: Plan, replica: Replica) -> bool:
    """Return whether its engine runs what the session's lock says, on all its hosts."""
    units, hosts = units_of(session, (replica,)), planned.surveyed.hosts
    return all(hosts[host].replicas[replica.name].runs(units[f"{host}/{replica.name}"]) for host in replica.hosts)


def _written(session: Session, planned: Plan, replica: Replica) -> bool:
    """Return whether its unit already is that of the session's lock, on all its hosts, whatever runs."""
    units, hosts = units_of(session, (replica,)), planned.surveyed.hosts
    return all(
        hosts[host].replicas[replica.name].is_written(units[f"{host}/{replica.name}"]) for host in replica.hosts
    )


def units_of(session: Session, replicas: tuple[Replica, ...]) -> Mapping[str, str]:
    """Return HOST/MODEL@N, for each member → sha256 of its unit by the session's lock."""
    names = {(host, one.name) for one in replicas for host in one.hosts}
    return {
        f"{host}/{unit.name}": unit_digest(unit)
        for host, spec in session.hosts.items()
        for unit in spec.replicas
        if (host, unit.name) in names
    }


def files_digest(fleet: Fleet) -> str:
    """Return the sha256 of the fleet file and the files that it extends."""
    return sha256(b"\0".join(path.read_bytes() for path in fleet.sources)).hexdigest()


def _prefetch(
    session: Session, lease_session: LeaseSession, look: Look, console: Console, stopping: Stopping
) -> tuple[Transferred, ...]:
    from rackwright.deploys.serve import prefetch

    hosts = _hosts(session, look.replicas)

    def change(deploy: Callable[[], None], names: tuple[str, ...]) -> Run:
        return apply_leased(session, lease_session, deploy, names, stopping=stopping)

    relay_lost_weights(session, hosts, console)
    done = prefetch_weights(session, hosts, console, stopping, change) if is_supplied(session, hosts) else Prefetch()
    # A host that still lacks something downloads it on its own, and is named if that fails.
    left = tuple(host for host in hosts if host not in done.run.failed_hosts)
    run = done.run if done.run.interrupted or stopping() else done.run + change(prefetch, left)
    if run.interrupted or stopping():
        raise RackwrightError("interrupted; no running engine was changed", next="run the same command again")
    if run.failed_hosts:
        raise _prefetch_failed(run)
    return done.transferred


def _hosts(session: Session, replicas: Iterable[Replica]) -> tuple[str, ...]:
    """Return the hosts of these replicas in the fleet file's order, in which weights are passed on."""
    changed = {host for one in replicas for host in one.hosts}
    return tuple(host for host in session.fleet.hosts if host in changed)


def _prefetch_failed(run: Run) -> HostsFailed:
    failed = [f"{step.host}: {step.operation}: {'; '.join(step.output[-3:])}" for step in run.failures.steps]
    failed += [f"{host}: {why}" for host, why in run.unreachable.items()]
    return HostsFailed(
        "could not fetch weights or runtimes",
        should="the running service is unchanged",
        next="fix the cause, then run the same command again",
        listed=failed,
    )


def _open(
    session: Session, lease_session: LeaseSession, asked: Asked, look: Look, outages: tuple[str, ...]
) -> Rollout:
    replicas = tuple(one for one in session.fleet.replicas if one.model in asked.models)
    rollout = Rollout(
        id=lease_session.run,
        what=asked.what,
        who=lease_session.lease.owner.who,
        when=utc_now(),
        models=asked.models,
        outages=outages,
        unattended=asked.unattended.settings if asked.unattended else None,
        units=units_of(session, replicas),
        due=tuple(one.address for one in look.replicas),
        taken=tuple(one.address for one in look.replicas if not _written(session, look.plan, one)),
        canaries=look.canaries,
        idle=tuple(one.address for one in look.replicas if not _serves(look.plan, one)),
        files=look.files,
        commit=checkout(session.fleet).commit,
        before=asked.before,
        after=session.lock,
    )
    write_rollout(lease_session, rollout)
    lease_session.write(Event.OPENED, rollout.id, detail=asked.what)
    return rollout
