"""Which hosts a patch run changes, and everything that must be settled before one is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rackwright.errors import HostsFailed, ProofError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.findings import no_way_back
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.reboot.new_driver import installed_set
from rackwright.lifecycle.session.session import Session

_PLAN = "rackwright patch plan"


def due_hosts(planned: Plan, asked: Asked, fleet: Fleet) -> tuple[HostPlan, ...]:
    """Return the hosts that change, in their order.

    Raise UsageError for hosts that aren't in service and a canary that doesn't change, HostsFailed if what a host
    needs isn't known, ProofError if a driver doesn't build, RackwrightError with all that is in the way.
    """
    _refuse_unknown_names(asked, fleet)
    _refuse_unknown_needs(planned, asked)
    wanted = [one for one in planned.hosts if not asked.hosts or one.host in asked.hosts]
    due = [one for one in wanted if one.state.offered or one.new_set or (asked.reboot and one.reboots)]
    if asked.canary and asked.canary not in (one.host for one in due):
        raise UsageError(
            f"{asked.canary} can't be the canary: nothing would change there",
            should="a host that the run changes" + (", and that -l names" if asked.hosts else ""),
            next=_PLAN,
        )
    _refuse_unproven(planned, due)
    if blocked := [f"{one.host}: {why}" for one in due for why in (*one.in_the_way, *_without_way_back(one))]:
        raise RackwrightError(
            "not all of these hosts can be patched", should="settle this first", next=_PLAN, listed=blocked
        )
    return tuple(sorted(due, key=lambda one: one.host != asked.canary))


def refuse_other_drivers(session: Session, due: Sequence[HostPlan]) -> None:
    """Raise RackwrightError if a host that gets a driver doesn't have the lock's now: it could not be reverted."""
    now = {one.host: one.new_set.now for one in due if one.new_set}
    names = session.remote.each(now, lambda host: installed_set(session, host))
    if other := [host for host, locked in now.items() if locked is None or names[host] != locked.set.name]:
        raise RackwrightError(
            f"the lock's driver isn't installed on: {', '.join(other)}",
            should="a driver is changed only from one that was applied, so that it can be reverted",
            next="rackwright apply --reboot, then rackwright patch run",
        )


def _refuse_unknown_names(asked: Asked, fleet: Fleet) -> None:
    named = {*asked.hosts, *((asked.canary,) if asked.canary else ())}
    if unknown := sorted(named - {*fleet.hosts}):
        raise UsageError(f"not in service: {', '.join(unknown)}", should=f"the hosts are: {', '.join(fleet.hosts)}")


def _refuse_unknown_needs(planned: Plan, asked: Asked) -> None:
    if failed := {name: why for name, why in planned.failed.items() if not asked.hosts or name in asked.hosts}:
        raise HostsFailed(
            "what these hosts need isn't known",
            should="every host that is patched must answer",
            next=_PLAN,
            listed=[f"{name}: {why}" for name, why in failed.items()],
        )
    if planned.driver_problems:
        raise HostsFailed(
            "driver and kernel of the next lock aren't known",
            should="they change with the packages",
            next="solve this; or rackwright patch run --only security, which leaves the driver as it is",
            listed=planned.driver_problems,
        )


def _refuse_unproven(planned: Plan, due: Sequence[HostPlan]) -> None:
    coming = {(one.new_set.coming.version, one.new_set.coming.kernel) for one in due if one.new_set}
    unproven = [one for one in planned.unproven if (one.version, one.kernel) in coming]
    if unproven:
        first = unproven[0]
        how = "doesn't build" if first.state == "fails" else "isn't known to build"
        raise ProofError(
            f"driver {first.version} {how} for kernel {first.kernel} (tried on {first.host})",
            should="nothing was changed",
            next="rackwright patch run --only security, which leaves the driver as it is",
            listed=[line for one in unproven for line in one.lines],
        )


def _without_way_back(planned: HostPlan) -> Iterator[str]:
    for offered in no_way_back(planned.state):
        yield f"{offered.name} could not be reverted: its version before can't be had; apt-mark hold leaves it out"
