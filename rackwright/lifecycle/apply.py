"""Bring the hosts to what fleet file and lock say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.engines import roll, settle
from rackwright.lifecycle.leased import leased
from rackwright.lifecycle.plan import Plan, Restart, plan
from rackwright.lifecycle.remember import compared, failure_audited, note_changes, refuse_stale_checkout, remember
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.run import Run
from rackwright.state.holding import Held

STAGES = (
    "look at the hosts",
    "folders and packet filter",
    "engines and gateways",
    "wait until every engine answers",
    "restart engines, one at a time",
)


@dataclass(frozen=True)
class Options:
    only: tuple[str, ...] = ()
    """Roles; empty means all."""
    close_ports: bool = False
    """The operator has agreed to close ports that something listens on."""
    allow_outage: bool = False


@dataclass(frozen=True)
class Applied:
    run: Run
    restarted: tuple[Restart, ...]


def apply(site: Site, options: Options, talk: Talk, confirm: Callable[[Plan], None]) -> Applied:
    """Afterwards the hosts are what the fleet file and the lock say, or the run says which are not.

    `confirm` sees the plan before anything changes and raises to stop. Raise LeasedError while another operator is
    at work, RackwrightError or ProofError where an engine's restart stops.
    """
    from rackwright.remote import Begun

    site.remote.open_ahead(site.models)
    with leased(site, "apply", talk) as held:
        _stage(talk, 0)
        comparing = Begun(lambda: compared(site))
        planned = plan(site, only=options.only)
        known = refuse_stale_checkout(comparing.result(), talk)
        if planned.empty:
            if not options.only:
                remember(site, held, planned.run, planned.surveyed, known=known)
            return Applied(planned.run, ())
        confirm(planned)
        run = _change(site, held, planned, options, talk)
        with failure_audited(site, held, run):
            restarts = _due(planned, run)
            _settle(site, run, restarts, talk)
            _restart(site, held, restarts, options, talk)
        if run.interrupted or options.only:
            # The hosts are not what the lock says, or not all of it was looked at.
            note_changes(site, held, run, site.models, "; then interrupted" if run.interrupted else "")
        else:
            remember(site, held, run, planned.surveyed, known=known)
        return Applied(run, restarts)


def _stage(talk: Talk, index: int) -> None:
    then = STAGES[index + 1] if index + 1 < len(STAGES) else None
    talk.stage(STAGES[index], index + 1, len(STAGES), then)


def _change(site: Site, held: Held, planned: Plan, options: Options, talk: Talk) -> Run:
    """Change the hosts whose plan is whole; the others are not tried again."""
    from rackwright.deploys.baseline import baseline
    from rackwright.deploys.confirm import confirm
    from rackwright.deploys.retire import retire
    from rackwright.deploys.site import service

    _stage(talk, 1)
    run = _then(site, held, planned.run.failures, baseline, options)
    run += Run(unreachable=_fresh_connections(site, _going(site, run)))
    run = _then(site, held, run, confirm, options)
    _stage(talk, 2)
    run = _then(site, held, run, service, options)
    return _then(site, held, run, retire, options)


def _then(site: Site, held: Held, run: Run, deploy: Callable[[], None], options: Options) -> Run:
    """The next run, on the hosts that have not failed; none after an interruption."""
    if run.interrupted:
        return run
    held.check()
    return run + site.engine.apply(deploy, {name: site.models[name] for name in _going(site, run)}, only=options.only)


def _going(site: Site, run: Run) -> tuple[str, ...]:
    return tuple(name for name in site.models if name not in run.failed_hosts)


def _due(planned: Plan, run: Run) -> tuple[Restart, ...]:
    """The restarts that were planned, on the hosts that went well; none after an interruption."""
    if run.interrupted:
        return ()
    return tuple(restart for restart in planned.restarts if restart.replica.host not in run.failed_hosts)


def _settle(site: Site, run: Run, restarts: tuple[Restart, ...], talk: Talk) -> None:
    """New engines answer before the first old one is taken; those that restart are proven by that."""
    if run.interrupted:
        return
    _stage(talk, 3)
    restarting = {restart.replica for restart in restarts}
    replicas = [replica for host in _going(site, run) for replica in site.fleet.replicas_on(host)]
    settle(site, talk, [replica for replica in replicas if replica not in restarting])


def _restart(site: Site, held: Held, restarts: tuple[Restart, ...], options: Options, talk: Talk) -> None:
    if restarts:
        _stage(talk, 4)
        roll(site, held, restarts, talk, allow_outage=options.allow_outage)


def _fresh_connections(site: Site, hosts: tuple[str, ...]) -> dict[str, str]:
    """Prove that each host still lets us in: a new connection, not the one that stood before its rules changed."""
    for name in hosts:
        site.remote.connection(name).close()
    answers = site.remote.run_on(hosts, "true")
    return {
        name: f"{answer.problems[0].what}; the old packet filter rules come back by themselves"
        for name, answer in answers.items()
        if isinstance(answer, HostError)
    }


def refuse_closing(planned: Plan, *, agreed: bool) -> None:
    """Raise RackwrightError naming each socket that would close, unless the operator has agreed."""
    if agreed or not planned.closing:
        return
    listed = [f"{name}: {socket}" for name, sockets in planned.closing.items() for socket in sockets]
    raise RackwrightError(
        "these ports would close:\n  " + "\n  ".join(listed),
        should="keep them with firewall.allow in the fleet file, or agree to close them",
        next="rackwright apply --close-ports",
    )
