"""Bring the hosts to what fleet file and lock say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.admission import shut_out
from rackwright.lifecycle.backup import make_first
from rackwright.lifecycle.changes import Change
from rackwright.lifecycle.control import refuse_moved
from rackwright.lifecycle.drains import copy_drains
from rackwright.lifecycle.engines import Engines, roll
from rackwright.lifecycle.gpus import PutOff, still_put_off
from rackwright.lifecycle.leased import apply_leased, leased
from rackwright.lifecycle.plan import Plan, Restart, plan
from rackwright.lifecycle.reboot import needs_driver, pending, reboot_all, refuse_swap
from rackwright.lifecycle.remember import (
    compared,
    failure_audited,
    note_changes,
    note_leased_act,
    refuse_stale_checkout,
    remember,
)
from rackwright.lifecycle.settle import settle
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.staging import Ahead, Staged, is_needed, put_ahead
from rackwright.lifecycle.talk import Talk
from rackwright.run import Outcome, Run
from rackwright.state.holding import Held
from rackwright.stopping import Stopping, stoppable

LOOK = "look at the hosts"
ENTRY = "folders, packet filter and sshd"
HOSTS = "the hosts themselves"
GPUS = "GPUs: driver and kernel"
WEIGHTS = "weights, from host to host"
SERVICE = "engines and gateways"
SETTLE = "wait until every engine answers"
RESTART = "restart engines, one at a time"
SAVE = "first snapshots"
STAGES = (LOOK, ENTRY, HOSTS, GPUS, WEIGHTS, SERVICE, SETTLE, RESTART, SAVE)
"""GPUs only where the fleet file says something of drivers, weights where hosts get them from one another."""


@dataclass(frozen=True)
class Options:
    only: tuple[str, ...] = ()
    """Roles; empty means all."""
    close_ports: bool = False
    """Whether ports close on which something listens."""
    allow_outage: bool = False
    reboot: bool = False
    """Whether hosts reboot whose new driver acts after that only."""
    not_stale: bool = False
    """Whether files are applied of which git can't tell that they are newer than those that were applied last."""


@dataclass(frozen=True)
class Applied:
    run: Run
    restarted: tuple[Replica, ...] = ()
    staged: tuple[Staged, ...] = ()
    failure: RackwrightError | None = None
    """Why the engines were not all brought to answer, or not all restarted."""


@dataclass(frozen=True)
class _Work:
    """An apply that has begun."""

    site: Site
    held: Held
    options: Options
    talk: Talk
    stopping: Stopping


def apply(site: Site, options: Options, talk: Talk, show: Callable[[Plan], None]) -> Applied:
    """Afterwards the hosts are what the fleet file and the lock say, or what comes back says what is missing.

    `show` gets the plan, and the operator is asked before anything changes. From there on Ctrl-C stops where nothing
    is left half done. Raise LeasedError while another operator is at work, or holds the lease in the end.
    """
    from rackwright.remote import Begun

    site.remote.open_ahead(site.models)
    with leased(site, "apply", talk) as held:
        _stage(site, talk, LOOK)
        comparing = Begun(lambda: compared(site))
        planned = plan(site, only=options.only)
        refuse_moved(site.fleet, planned.surveyed.control)
        known = refuse_stale_checkout(comparing.result(), talk, not_stale=options.not_stale)
        # What an earlier apply installed may be all that waits.
        waiting = pending(site, site.models, kernels=True).waiting if options.reboot else {}
        if planned.empty and not waiting:
            applied = Applied(planned.run)
        else:
            refuse_swap(site, planned, reboot=options.reboot, allow_outage=options.allow_outage)
            for name, why in waiting.items():
                talk.say(f"{name}: will reboot: {why}")
            show(planned)
            _agree_to_close(planned, options, talk)
            talk.confirm("Apply this?")
            with stoppable(talk.heard) as stopping:
                applied = _carry_out(_Work(site, held, options, talk, stopping), planned)
        _remember(site, held, options, applied, planned, known=known)
        return _saved(site, applied, planned, talk)


def _stage(site: Site, talk: Talk, stage: str) -> None:
    left_out = {GPUS: not site.fleet.file.drivers, WEIGHTS: not is_needed(site, site.models)}
    stages = tuple(one for one in STAGES if not left_out.get(one))
    if stage in stages:
        index = stages.index(stage)
        talk.stage(stage, index + 1, len(stages), stages[index + 1] if index + 1 < len(stages) else None)


def _carry_out(work: _Work, planned: Plan) -> Applied:
    run, staged = _change(work, planned)
    restarted: list[Replica] = []
    try:
        with failure_audited(work.site, work.held, run):
            restarts = _due(planned, run)
            put_off = still_put_off(work.site, planned.put_off, _going(work.site, run))
            _settle(work, run, _waited(work, run, restarts, put_off))
            _restart(work, run, restarts, restarted)
            if crowded := tuple(waiting.replica for waiting in put_off if waiting.until_restarts):
                _settle(work, run, crowded)
    except RackwrightError as error:
        return Applied(run, tuple(restarted), staged, error)
    return Applied(run, tuple(restarted), staged)


def _change(work: _Work, planned: Plan) -> tuple[Run, tuple[Staged, ...]]:
    """Change the hosts whose plan is whole; the others are not tried again."""
    from rackwright.deploys.baseline import baseline, entry
    from rackwright.deploys.confirm import confirm
    from rackwright.deploys.gpu import gpu
    from rackwright.deploys.retire import retire
    from rackwright.deploys.site import service

    _stage(work.site, work.talk, ENTRY)
    run = _then(work, planned.run.failures, entry)
    run += Run(unreachable=shut_out(work.site.remote, _going(work.site, run)))
    run = _then(work, run, confirm)
    _stage(work.site, work.talk, HOSTS)
    run = _then(work, run, baseline)
    if _gpus_looked_at(work, planned):
        _stage(work.site, work.talk, GPUS)
        run = _then(work, run, gpu)
        run += Run(unreachable=_driver_acts(work, run))
    ahead = _put_ahead(work, run)
    run += ahead.run
    _stage(work.site, work.talk, SERVICE)
    run += Run(unreachable=_drained_as_others(work, run, planned))
    run = _then(_rolling(work, planned), run, service)
    return _then(work, run, retire), ahead.staged


def _put_ahead(work: _Work, run: Run) -> Ahead:
    """Weights go to where others get them from, unless only other roles were asked for."""
    going = _going(work.site, run)
    asked = "model_store" in (work.options.only or ("model_store",))
    if run.interrupted or not asked or not is_needed(work.site, going):
        return Ahead()
    _stage(work.site, work.talk, WEIGHTS)

    def change(deploy: Callable[[], None], hosts: tuple[str, ...]) -> Run:
        return apply_leased(work.site, work.held, deploy, hosts, stopping=work.stopping)

    return put_ahead(work.site, going, work.talk, work.stopping, change)


def _rolling(work: _Work, planned: Plan) -> _Work:
    """Units of engines that restart are changed by the rollout, each in its turn."""
    rolled: dict[str, set[str]] = {name: set() for name in work.site.models}
    for restart in planned.restarts:
        for name in set(restart.replica.hosts) & set(rolled):
            rolled[name].add(restart.replica.name)
    models = {name: replace(model, rolled=frozenset(rolled[name])) for name, model in work.site.models.items()}
    return replace(work, site=replace(work.site, models=models))


def _drained_as_others(work: _Work, run: Run, planned: Plan) -> dict[str, str]:
    """A gateway knows what a person drained before it sends the first request."""
    if run.interrupted:
        return {}
    missing = [drain for drain in planned.drains if drain.gateway in _going(work.site, run)]
    for drain in missing:
        work.talk.say(f"{drain.replica.address}: drained at {drain.gateway} too: {drain.record.reason}")
    failed = copy_drains(work.site, missing)
    for drain in missing:
        if drain.gateway not in failed:
            act = f"drain {drain.replica.address}: {drain.record.reason}"
            note_leased_act(work.site, work.held, (drain.gateway,), act)
    return failed


def _gpus_looked_at(work: _Work, planned: Plan) -> bool:
    """Where the fleet file says something of drivers, or said so before."""
    steps = (step for step in planned.run.steps if step.role in ("nvidia_driver", "cuda"))
    changes = any(step.outcome is Outcome.WOULD_CHANGE for step in steps)
    return changes or any(model.driver or model.cuda for model in work.site.models.values())


def _driver_acts(work: _Work, run: Run) -> dict[str, str]:
    """Hosts whose engines can't start before a reboot: it was asked for, or they go no further."""
    if run.interrupted:
        return {}
    found = pending(work.site, _going(work.site, run), kernels=work.options.reboot)
    if work.options.reboot:
        outage = work.options.allow_outage
        return found.unreachable | reboot_all(work.site, work.held, found.waiting, work.talk, allow_outage=outage)
    return found.unreachable | {
        name: f"reboot pending: {why}; next: rackwright apply --reboot"
        for name, why in found.waiting.items()
        if needs_driver(work.site, name)
    }


def _then(work: _Work, run: Run, deploy: Callable[[], None]) -> Run:
    """The next run, on the hosts that have not failed; none after an interruption."""
    if run.interrupted:
        return run
    going, only = _going(work.site, run), work.options.only
    with failure_audited(work.site, work.held, run):
        return run + apply_leased(work.site, work.held, deploy, going, stopping=work.stopping, only=only)


def _going(site: Site, run: Run) -> tuple[str, ...]:
    return tuple(name for name in site.models if name not in run.failed_hosts)


def _due(planned: Plan, run: Run) -> tuple[Restart, ...]:
    """The restarts that were planned, on the hosts that went well; none after an interruption."""
    if run.interrupted:
        return ()
    return tuple(restart for restart in planned.restarts if not set(restart.replica.hosts) & set(run.failed_hosts))


def _waited(work: _Work, run: Run, restarts: tuple[Restart, ...], put_off: tuple[PutOff, ...]) -> tuple[Replica, ...]:
    """Those that answer before the first engine is restarted: all but these, and who can't have his GPUs yet."""
    others = {restart.replica for restart in restarts} | {waiting.replica for waiting in put_off}
    for waiting in put_off:
        work.talk.say(f"{waiting.replica.address}: {waiting.why}")
    replicas = [replica for host in _going(work.site, run) for replica in work.site.fleet.replicas_on(host)]
    return tuple(one for one in replicas if one not in others and not set(one.hosts) & set(run.failed_hosts))


def _settle(work: _Work, run: Run, replicas: tuple[Replica, ...]) -> None:
    """New engines answer before the first old one is taken; those that restart are proven by that.

    Where no engine was to be looked at, none is waited for: whoever left must be out also while a host has none yet.
    A gateway that failed isn't asked: it may not even be installed.
    """
    if run.interrupted or "replica" not in (work.options.only or ("replica",)):
        return
    _stage(work.site, work.talk, SETTLE)

    def returned(address: str) -> None:
        note_leased_act(work.site, work.held, gateways.hosts, f"undrain {address}")

    gateways = work.site.gateways.only(name for name in work.site.fleet.gateways if name not in run.failed_hosts)
    settle(work.site, work.held, gateways, work.talk, replicas, work.stopping, returned)


def _restart(work: _Work, run: Run, restarts: tuple[Restart, ...], restarted: list[Replica]) -> None:
    if not restarts:
        return
    if failed := [name for name in work.site.fleet.gateways if name in run.failed_hosts]:
        raise RackwrightError(
            f"not restarted, for {' and '.join(failed)} failed: "
            + ", ".join(restart.replica.address for restart in restarts),
            should="every gateway should be there to send nothing to an engine while it restarts",
            next="rackwright apply",
        )
    _stage(work.site, work.talk, RESTART)

    def done(replica: Replica) -> None:
        restarted.append(replica)
        hosts = (replica.host, *work.site.fleet.gateways)
        note_leased_act(work.site, work.held, hosts, f"restart {replica.address}")

    engines = Engines(work.site, work.held, work.talk)
    changes = [_change_of(engines, restart) for restart in restarts]
    outages = work.site.fleet.file.models if work.options.allow_outage else ()
    roll(work.site, work.held, changes, work.talk, done, stopping=work.stopping, outages=outages)


def _change_of(engines: Engines, restart: Restart) -> Change:
    change = engines.renewed(restart.replica, restart.why)
    return change if restart.rewritten else replace(change, put_back=None)


def _remember(site: Site, held: Held, options: Options, applied: Applied, planned: Plan, *, known: bool) -> None:
    """Hosts record the lock only if they are what it says, and all of it was looked at."""
    if applied.failure:
        return
    if applied.run.interrupted or options.only:
        note_changes(site, held, applied.run, site.models, "; then interrupted" if applied.run.interrupted else "")
    else:
        remember(site, held, applied.run, planned.surveyed, known=known)


def _saved(site: Site, applied: Applied, planned: Plan, talk: Talk) -> Applied:
    """What was applied is in a snapshot on every host that went well and had none yet."""
    going = [place for place in planned.first_snapshots if place[0] not in applied.run.failed_hosts]
    if not going or applied.failure or applied.run.interrupted:
        return applied
    _stage(site, talk, SAVE)
    return replace(applied, failure=make_first(site, going, talk))


def _agree_to_close(planned: Plan, options: Options, talk: Talk) -> None:
    """--yes doesn't agree to close a port on which something listens."""
    if options.close_ports or not planned.closing:
        return
    listed = [f"{name}: {socket}" for name, sockets in planned.closing.items() for socket in sockets]
    refusal = RackwrightError(
        "these ports would close:\n  " + "\n  ".join(listed),
        should="keep them with firewall.allow in the fleet file, or agree to close them",
        next="rackwright apply --close-ports",
    )
    talk.confirm("Ports that something listens on would close. Close them?", refusal=refusal)
