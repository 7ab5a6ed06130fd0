"""The reboots of an apply: what a new driver needs, and the rollout that reboots the hosts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.lifecycle.apply.plan import Plan
from rackwright.lifecycle.apply.work import Work
from rackwright.lifecycle.reboot.pending import pending
from rackwright.lifecycle.reboot.procedure import Work as Reboots
from rackwright.lifecycle.reboot.procedure import complete, open_reboots
from rackwright.lifecycle.session.agreements import outages_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.nvidia_driver.settings import INSTALL, PENDING
from rackwright.run import Outcome, Run, Step
from rackwright.state.journal import open_rollout

WHAT = "apply --reboot"
_HERE = "is the machine that rackwright runs on, not rebooted; next: reboot it, then run rackwright apply"


@dataclass
class Halted(Exception):
    """The apply goes no further, because a rollout stays open."""

    run: Run
    """What was done until then."""
    error: RackwrightError


def swapped(session: Session, planned: Plan) -> dict[str, str]:
    """Return the hosts whose engines run on another driver than would be installed, and what would happen.

    Such engines run until their next start, which finds libraries that don't fit the module.
    """
    found = {}
    for step in planned.run.steps:
        host, driver = planned.surveyed.hosts.get(step.host), session.hosts[step.host].driver
        if not (host and driver and step.role == "nvidia_driver" and step.operation.startswith(INSTALL)):
            continue
        runs = [name for name, state in host.replicas.items() if state.active == "active"]
        if step.outcome is Outcome.WOULD_CHANGE and runs and host.driver.loaded not in (None, driver.version):
            found[step.host] = (
                f"module {host.driver.loaded} is in use by {', '.join(runs)}; {driver.version} would replace it"
            )
    return found


def refuse_swap(session: Session, planned: Plan, *, reboot: bool) -> None:
    """Raise RackwrightError naming each host whose driver would change under running engines.

    With a reboot, the driver is installed when the host is drained.
    """
    found = swapped(session, planned)
    refused = [
        f"{name}: {what}" + (f"; {name} {_HERE}" if reboot else "")
        for name, what in found.items()
        if not reboot or session.fleet.is_local(name)
    ]
    if refused:
        raise RackwrightError(
            "the driver would change under running engines",
            should="a new driver needs a reboot, and until then none of these engines could restart",
            next="rackwright apply --reboot, which drains a host, installs its driver and reboots it",
            listed=refused,
        )


def needs_driver(session: Session, name: str) -> bool:
    """Return whether engines of the host can't start without its driver."""
    return any(replica.gpus for replica in session.fleet.parts_on(name))


def drivers_act(work: Work, run: Run, later: Mapping[str, str]) -> Run:
    """Reboot the hosts that need it, if asked; return the run with the hosts that can't go on, and why.

    `later`: hosts whose driver is installed when they are drained. Raise Halted if a rollout stays open.
    """
    if run.interrupted:
        return run
    session, options = work.session, work.options
    going = [name for name in work.going(run) if name not in later]
    found = pending(session, going, kernels=options.reboot)
    if not options.reboot:
        waits = {
            name: f"reboot pending: {why}; next: rackwright apply --reboot"
            for name, why in found.waiting.items()
            if needs_driver(session, name)
        }
        return run + Run(unreachable=found.unreachable | waits)
    here = {name: _HERE for name in found.waiting if session.fleet.is_local(name)}
    waiting = {name: why for name, why in (found.waiting | dict(later)).items() if name not in here}
    run += Run(unreachable=found.unreachable | here)
    return _rebooted(work, run, waiting) if waiting else run


def _rebooted(work: Work, run: Run, waiting: Mapping[str, str]) -> Run:
    session, lease_session, runs = work.session, work.lease_session, [run]
    unattended = work.options.unattended
    outages = outages_of(session.fleet, unattended, allow_outage=work.options.allow_outage)
    done: list[str] = []
    try:
        rollout = open_reboots(session, lease_session, WHAT, waiting, outages, unattended)
        reboots = Reboots(session, lease_session, rollout, work.console, work.stopping, runs.append, done.append)
        complete(reboots)
    except LeasedError:
        raise
    except RackwrightError as error:
        run = _as_booted(sum(runs[1:], runs[0]), done)
        if _stays_open(session):
            raise Halted(run, error) from None
        return run + Run(unreachable=_left(session, waiting, done, error))
    return _as_booted(sum(runs[1:], runs[0]), done)


def _as_booted(run: Run, rebooted: Collection[str]) -> Run:
    """Return the run without its notes that these hosts need a reboot."""

    def stale(step: Step) -> bool:
        return step.host in rebooted and (step.note or "").startswith(PENDING)

    return replace(run, steps=tuple(replace(step, note=None) if stale(step) else step for step in run.steps))


def _stays_open(session: Session) -> bool:
    """Return whether a rollout is open, or may be, because the control host doesn't answer."""
    try:
        return open_rollout(session.store.entries()) is not None
    except HostError:
        return True


def _left(session: Session, waiting: Mapping[str, str], done: list[str], error: RackwrightError) -> dict[str, str]:
    """Return why each host that was not rebooted can't go on: those that failed, and those that need the driver."""
    first = error.problems[0].where or "the rollout"
    left = {
        name: f"reboot pending: {why}; not rebooted, because {first} was not"
        for name, why in waiting.items()
        if name not in done and needs_driver(session, name)
    }
    return left | {problem.where: problem.line() for problem in error.problems if problem.where in waiting}
