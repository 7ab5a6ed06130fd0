"""Carry out an apply that the operator has confirmed: change the hosts stage by stage, then the engines."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from functools import partial

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.apply.admission import shut_out
from rackwright.lifecycle.apply.plan import ETCD, Plan, Restart
from rackwright.lifecycle.apply.reboot import Halted, drivers_act, swapped
from rackwright.lifecycle.apply.settle import await_gateways, settle
from rackwright.lifecycle.apply.stages import (
    CONTROL,
    ENTRY,
    GPUS,
    HOSTS,
    RESTART,
    SERVICE,
    SETTLE,
    WEIGHTS,
    Applied,
    begin,
    includes,
)
from rackwright.lifecycle.apply.take_out import room_made, take_out, with_replicas
from rackwright.lifecycle.apply.work import Work
from rackwright.lifecycle.control.settle import settle_members
from rackwright.lifecycle.drain.missing import copy_drains
from rackwright.lifecycle.gpus.assignment import Deferred, still_deferred
from rackwright.lifecycle.p2p.prefetch import Prefetch, prefetch_weights
from rackwright.lifecycle.p2p.procedure import Transferred
from rackwright.lifecycle.p2p.receivers import is_supplied
from rackwright.lifecycle.p2p.relay import relay_lost_weights
from rackwright.lifecycle.rollout.change import Change
from rackwright.lifecycle.rollout.engine_changes import Engines, roll
from rackwright.lifecycle.session.agreements import outages_of
from rackwright.lifecycle.session.remember import failure_audited, note_changes, note_leased_act
from rackwright.lifecycle.session.under_lease import apply_leased
from rackwright.run import Outcome, Run


def carry_out(work: Work, planned: Plan) -> Applied:
    """Carry out the plan; return what was done and what failed. Raise LeasedError if the lease has ended."""
    leaving = planned.retirement
    try:
        run, transferred = _prepare(with_replicas(work, leaving.replicas), planned)
    except Halted as halted:
        then = f"; then failed: {halted.error.problems[0].what}"
        note_changes(work.session, work.lease_session, halted.run, work.session.hosts, then)
        return Applied(halted.run, failure=halted.error)
    restarted: list[Replica] = []
    try:
        with room_made(work, leaving, run):
            run = _serve(with_replicas(work, leaving.kept), planned, run)
            restarts = _due(planned, run)
            with failure_audited(work.session, work.lease_session, run):
                deferred = still_deferred(work.session, planned.deferred, work.going(run))
                _settle(work, run, _waited(work, run, restarts, deferred))
        run = take_out(work, leaving, run, partial(_finish, planned))
        with failure_audited(work.session, work.lease_session, run):
            _restart(work, run, restarts, restarted)
            if crowded := tuple(waiting.replica for waiting in deferred if waiting.until_restarts):
                _settle(work, run, crowded)
    except RackwrightError as error:
        return Applied(run, tuple(restarted), transferred, error)
    return Applied(run, tuple(restarted), transferred)


def _prepare(work: Work, planned: Plan) -> tuple[Run, tuple[Transferred, ...]]:
    """Do what no client notices, on the hosts that were planned without a failure; the others are not tried again."""
    from rackwright.deploys.gpu import gpu
    from rackwright.deploys.serve import prefetch as stored

    run = _members_settled(work, set_up(work, planned))
    if _gpus_looked_at(work, planned):
        begin(work.session, work.console, GPUS)
        # Its engines run on the old driver: the new one is installed when they are drained.
        later = swapped(work.session, planned) if work.options.reboot else {}
        run = then(work, run, gpu, but=later)
        with failure_audited(work.session, work.lease_session, run):
            run = drivers_act(work, run, later)
    prefetch = _prefetch(work, planned, run)
    run += prefetch.run
    if planned.retirement.stopped_first:
        # Their models are down until others answer: these shouldn't have to fetch anything then.
        run = then(work, run, stored)
    return run, prefetch.transferred


def _serve(work: Work, planned: Plan, run: Run) -> Run:
    """Start new engines, make the gateways send requests to them, and remove what the session doesn't name."""
    from rackwright.deploys.retire import retire
    from rackwright.deploys.site import service

    begin(work.session, work.console, SERVICE)
    run += Run(unreachable=_drained_as_others(work, run, planned))
    if planned.retirement.stopped_first:
        # New engines need their GPUs or memory.
        run = then(work, run, retire)
    run = then(_rolling(work, planned), run, service)
    return then(work, run, retire)


def _finish(planned: Plan, work: Work, run: Run) -> Run:
    """Remove what was needed only until others served, from gateways, packet filters and hosts."""
    from rackwright.deploys.retire import retire
    from rackwright.deploys.site import service

    run = then(_rolling(work, planned), _entered(work, run), service)
    return then(work, run, retire)


def set_up(work: Work, planned: Plan) -> Run:
    """Set up what every host has, and etcd on control hosts. No engine or gateway starts."""
    from rackwright.deploys.baseline import baseline
    from rackwright.deploys.control import control

    begin(work.session, work.console, ENTRY)
    run = _entered(work, planned.run.failures)
    begin(work.session, work.console, HOSTS)
    run = then(work, run, baseline)
    agree = any(spec.etcd for spec in work.session.hosts.values())
    return then(work, run, control) if agree else run


def _members_settled(work: Work, run: Run) -> Run:
    """Replace or restart the members of the control hosts' etcd that are due."""
    several = len(work.session.fleet.control_hosts) > 1
    if several and includes(work.options.only, ETCD) and not run.interrupted:
        begin(work.session, work.console, CONTROL)
        with failure_audited(work.session, work.lease_session, run):
            settle_members(work.session, work.lease_session, work.going(run), work.console)
    return run


def _entered(work: Work, run: Run) -> Run:
    """Change packet filter and sshd, and keep that only where we still get in."""
    from rackwright.deploys.baseline import entry
    from rackwright.deploys.confirm import confirm

    run = then(work, run, entry)
    run += Run(unreachable=shut_out(work.session.remote, work.going(run)))
    return then(work, run, confirm)


def _prefetch(work: Work, planned: Plan, run: Run) -> Prefetch:
    """Fetch the weights that hosts get from one another, unless only other roles were asked for."""
    going = work.going(run)
    if run.interrupted or not includes(work.options.only, "model_store"):
        return Prefetch()
    if any(step.role == "model_store" and step.outcome is Outcome.WOULD_CHANGE for step in planned.run.steps):
        relay_lost_weights(work.session, going, work.console)
    if not is_supplied(work.session, going):
        return Prefetch()
    begin(work.session, work.console, WEIGHTS)

    def change(deploy: Callable[[], None], hosts: tuple[str, ...]) -> Run:
        return apply_leased(work.session, work.lease_session, deploy, hosts, stopping=work.stopping)

    return prefetch_weights(work.session, going, work.console, work.stopping, change)


def _rolling(work: Work, planned: Plan) -> Work:
    """Leave the units of engines that restart to the rollout, which changes them under traffic."""
    rolled: dict[str, set[str]] = {name: set() for name in work.session.hosts}
    for restart in planned.restarts:
        for name in set(restart.replica.hosts) & set(rolled):
            rolled[name].add(restart.replica.name)
    specs = {name: replace(spec, rolled=spec.rolled | rolled[name]) for name, spec in work.session.hosts.items()}
    return replace(work, session=replace(work.session, hosts=specs))


def _drained_as_others(work: Work, run: Run, planned: Plan) -> dict[str, str]:
    """Copy manual drains to gateways that lack them, before these send requests; return the gateways that failed."""
    if run.interrupted:
        return {}
    missing = [drain for drain in planned.drains if drain.gateway in work.going(run)]
    for drain in missing:
        work.console.say(f"{drain.replica.address}: draining it at {drain.gateway}, too: {drain.record.reason}")
    failed = copy_drains(work.session, missing)
    for drain in missing:
        if drain.gateway not in failed:
            act = f"drain {drain.replica.address}: {drain.record.reason}"
            note_leased_act(work.session, work.lease_session, (drain.gateway,), act)
    return failed


def _gpus_looked_at(work: Work, planned: Plan) -> bool:
    """Return whether the fleet file asks for a driver or CUDA anywhere, or did so before."""
    steps = (step for step in planned.run.steps if step.role in ("nvidia_driver", "cuda"))
    changes = any(step.outcome is Outcome.WOULD_CHANGE for step in steps)
    return changes or any(spec.driver or spec.cuda for spec in work.session.hosts.values())


def then(work: Work, run: Run, deploy: Callable[[], None], *, but: Container[str] = ()) -> Run:
    """Run the next deploy on the hosts that have not failed, `but` for these; run none after an interruption."""
    if run.interrupted:
        return run
    going, only = [name for name in work.going(run) if name not in but], work.options.only
    with failure_audited(work.session, work.lease_session, run):
        return run + apply_leased(work.session, work.lease_session, deploy, going, stopping=work.stopping, only=only)


def _due(planned: Plan, run: Run) -> tuple[Restart, ...]:
    """Return the planned restarts on hosts that have not failed; none after an interruption."""
    if run.interrupted:
        return ()
    return tuple(restart for restart in planned.restarts if not set(restart.replica.hosts) & set(run.failed_hosts))


def _waited(
    work: Work, run: Run, restarts: tuple[Restart, ...], deferred: tuple[Deferred, ...]
) -> tuple[Replica, ...]:
    """Return the replicas that must answer before the first restart: all that neither restart nor are deferred."""
    others = {restart.replica for restart in restarts} | {waiting.replica for waiting in deferred}
    for waiting in deferred:
        work.console.say(f"{waiting.replica.address}: {waiting.why}")
    replicas = [replica for host in work.going(run) for replica in work.session.fleet.replicas_on(host)]
    return tuple(one for one in replicas if one not in others and not set(one.hosts) & set(run.failed_hosts))


def _settle(work: Work, run: Run, replicas: tuple[Replica, ...]) -> None:
    """Wait for new engines before the first old one is taken down; engines that restart are proven by the restart.

    An apply without the role `replica` waits for none: removing an account, for example, must work while a host has
    no engine yet. A gateway that failed isn't asked: it may not even be installed.
    """
    if run.interrupted or not includes(work.options.only, "replica"):
        return
    begin(work.session, work.console, SETTLE)

    def undrained(address: str) -> None:
        note_leased_act(work.session, work.lease_session, gateways.hosts, f"undrain {address}")

    gateways = work.session.gateways.only(
        name for name in work.session.fleet.gateways if name not in run.failed_hosts
    )
    settle(work.session, work.lease_session, gateways, work.console, replicas, work.stopping, undrained)


def _restart(work: Work, run: Run, restarts: tuple[Restart, ...], restarted: list[Replica]) -> None:
    if not restarts:
        return
    if failed := [name for name in work.session.fleet.gateways if name in run.failed_hosts]:
        raise RackwrightError(
            f"not restarted, because {' and '.join(failed)} failed: "
            + ", ".join(restart.replica.address for restart in restarts),
            should="every gateway must work, so that none sends requests to an engine that restarts",
            next="rackwright apply",
        )
    begin(work.session, work.console, RESTART)

    def done(change: Change) -> None:
        (replica,) = change.replicas
        restarted.append(replica)
        hosts = (replica.host, *work.session.fleet.gateways)
        note_leased_act(work.session, work.lease_session, hosts, f"restart {replica.address}")

    engines = Engines(work.session, work.lease_session, work.console)
    changes = [_change_of(engines, restart) for restart in _first_the_idle(work, restarts)]
    outages = outages_of(work.session.fleet, work.options.unattended, allow_outage=work.options.allow_outage)
    roll(work.session, work.lease_session, changes, work.console, done, stopping=work.stopping, outages=outages)


def _first_the_idle(work: Work, restarts: tuple[Restart, ...]) -> list[Restart]:
    """Put replicas that don't serve first: restarting them costs nothing, and others may have to wait for them."""
    replicas = [restart.replica for restart in restarts]
    serving = await_gateways(work.session.remote, work.session.gateways, work.console, replicas, work.stopping)
    return sorted(restarts, key=lambda restart: restart.replica.address in serving)


def _change_of(engines: Engines, restart: Restart) -> Change:
    change = replace(engines.renewed(restart.replica, restart.why), doing=f"restarting: {restart.why}")
    return change if restart.rewritten else replace(change, revert=None)
