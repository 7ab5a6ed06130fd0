"""`patch plan`: what a patch run would change on each host. Changes nothing, on no host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rackwright.errors import FleetError, HostError, Problem
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.patch.coming_drivers import Coming, coming_drivers, trial_builds
from rackwright.lifecycle.patch.document import PatchPlan, plan_document
from rackwright.lifecycle.patch.findings import (
    Left,
    SetChange,
    in_the_way,
    left_alone,
    needs_hands,
    reboots,
)
from rackwright.lifecycle.patch.kinds import Wanted, kinds_of
from rackwright.lifecycle.patch.last_times import measured_seconds
from rackwright.lifecycle.patch.own_host import own_host
from rackwright.lifecycle.patch.schedule import Schedule, in_order, schedule
from rackwright.lifecycle.patch.try_build import Tried
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Completed, read_each
from rackwright.roles.patch.parse_state import parse_state, without_user
from rackwright.roles.patch.state import SECONDS, PatchState, script

Say = Callable[[str], None]


@dataclass(frozen=True)
class HostPlan:
    host: str
    state: PatchState
    sets: SetChange | None
    """Driver and kernel of lock and next lock; None: rackwright installs no driver here, or the next isn't known."""
    reboots: tuple[str, ...]
    """Why it would reboot; empty: it wouldn't."""
    in_the_way: tuple[str, ...]
    hands: tuple[str, ...]
    """What needs a person if the new kernel hangs; empty if it wouldn't reboot."""
    left: tuple[Left, ...]

    @property
    def new_set(self) -> SetChange | None:
        return self.sets if self.sets and not self.sets.same else None

    @property
    def empty(self) -> bool:
        """Whether a run wouldn't touch this host."""
        return not (self.state.offered or self.new_set or self.reboots)


@dataclass(frozen=True)
class Plan:
    hosts: tuple[HostPlan, ...]
    """In the order of the run, those without changes, too."""
    builds: tuple[Tried, ...]
    """One for each new set of driver and kernel."""
    schedule: Schedule
    document: PatchPlan
    failed: Mapping[str, str] = field(default_factory=dict)
    """Host → why it has no plan."""
    driver_problems: tuple[str, ...] = ()
    """Why driver and kernel of the next lock aren't known."""

    @property
    def empty(self) -> bool:
        return all(host.empty for host in self.hosts)

    @property
    def unproven(self) -> tuple[Tried, ...]:
        """The sets whose modules don't build, or of which that isn't known."""
        return tuple(tried for tried in self.builds if tried.state != "builds")


def _quiet(_: str) -> None:
    pass


def patch_plan(
    session: Session,
    *,
    only_security: bool = False,
    drivers: bool = True,
    now: datetime | None = None,
    say: Say = _quiet,
) -> Plan:
    """Ask the session's hosts and return what a patch run would change.

    Without `drivers`, or with `only_security`, driver and kernel of the lock stay. `say` gets a line before anything
    that takes long. A host without an answer is in `failed`. Raise FleetError if the fleet file has no `patch`,
    RackwrightError if this machine doesn't know the fleet's time zone.
    """
    _require_section(session)
    zone = zone_of(session.fleet)
    measured = _measured(session)
    states, failed = states_of(session, only_security=only_security)
    order = in_order(session.fleet, states, own_host(session.fleet))
    coming = _coming(session, order, say) if drivers and not only_security else Coming()
    plans = tuple(_planned(session, host, states[host], coming.sets.get(host)) for host in order)
    if any(plan.new_set for plan in plans):
        say("building the modules of the coming driver, one host for each set; this takes minutes")
    builds = trial_builds(session, order, coming)
    wanted = {plan.host: Wanted(plan.state, plan.new_set.coming.name if plan.new_set else None) for plan in plans}
    touched = tuple(plan.host for plan in plans if not plan.empty)
    return Plan(
        hosts=plans,
        builds=builds,
        schedule=schedule(session.fleet, touched, now or datetime.now(UTC), zone, measured),
        document=plan_document(kinds_of(wanted), only_security=only_security),
        failed=failed,
        driver_problems=coming.problems,
    )


def _measured(session: Session) -> dict[str, float]:
    """Return how long the last patch of each host took; nothing if the control host can't be asked."""
    try:
        return measured_seconds(session.store.entries())
    except HostError:
        return {}


def _require_section(session: Session) -> None:
    if session.fleet.file.patch is None:
        should = "add `patch: {}`, so that hosts get the programs that are asked"
        raise FleetError([Problem(f"{session.fleet.path} patch", "is missing", should, "rackwright apply")])


def _coming(session: Session, order: tuple[str, ...], say: Say) -> Coming:
    if any(session.hosts[host].driver for host in order):
        say("asking for the driver and kernel of the next lock")
    return coming_drivers(session, order)


def states_of(session: Session, *, only_security: bool) -> tuple[dict[str, PatchState], dict[str, str]]:
    """Return what each host says about its packages, and why the others said nothing that can be read."""
    scripts = {host: _script(session, host, only_security=only_security) for host in session.hosts}
    asked = session.remote.each(scripts, lambda host: _asked(session, host, scripts[host]))
    read = read_each(asked, "asking apt", parse_state)
    states = {host: state for host, state in read.items() if isinstance(state, PatchState)}
    failed = {host: error.problems[0] for host, error in read.items() if isinstance(error, HostError)}
    return states, {host: without_user(problem.line()) for host, problem in failed.items()}


def _asked(session: Session, host: str, text: str) -> Completed | HostError:
    try:
        return session.remote.connection(host).run("sh -s", stdin=text, timeout=SECONDS)
    except HostError as error:
        return error


def _script(session: Session, host: str, *, only_security: bool) -> str:
    spec = session.hosts[host]
    options = spec.downloads.route.curl_options
    return script(driver=spec.driver is not None, only_security=only_security, curl_options=options)


def _planned(session: Session, host: str, state: PatchState, sets: SetChange | None) -> HostPlan:
    why = reboots(state, sets)
    kernel = any(one.startswith("kernel ") for one in why)
    bmc = session.fleet.file.hosts[host].bmc is not None
    return HostPlan(
        host=host,
        state=state,
        sets=sets,
        reboots=why,
        in_the_way=in_the_way(state, kernel=kernel),
        hands=needs_hands(state, bmc=bmc) if why else (),
        left=left_alone(state, driver=session.hosts[host].driver is not None),
    )
