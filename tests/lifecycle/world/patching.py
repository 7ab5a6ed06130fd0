"""A patch run on a simulated fleet: what apt offers, what the gates see, and what hosts say about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from rackwright.errors import HostError
from rackwright.lifecycle.patch import host_change, packages, run
from rackwright.lifecycle.patch.document import plan_document
from rackwright.lifecycle.patch.gate_state import Gate, GateState
from rackwright.lifecycle.patch.kinds import Wanted, kinds_of
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.schedule import schedule
from rackwright.lifecycle.reboot import resume
from rackwright.lifecycle.session.remember import Compared
from rackwright.package_set import Package, PackageChange
from rackwright.roles.patch.replaced import Replaced
from rackwright.roles.patch.state import Offered, PatchState

if TYPE_CHECKING:
    from tests.lifecycle.world.session import SimulatedSession
    from tests.lifecycle.world.world import World

LOST_SECONDS = 30.0
"""As lost_seconds of HostPackages."""
_NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Offer:
    """What apt has for all hosts: one package."""

    version: str
    kernel: bool
    """Whether it brings a kernel."""

    def to(self, installed: str) -> Offered:
        name = "linux-image-all" if self.kernel else "small"
        package = Package(
            name=name, version=self.version, architecture="all", size=1, sha256="a" * 64, url="http://m/small.deb"
        )
        return Offered(PackageChange(package=package, before=installed), security=False, origin="d", back="archive")


def patch_plan(session: SimulatedSession, offer: Offer, **_: object) -> Plan:
    """Replaces the plan: every host that answers gets the offer."""
    plans, failed = {}, {}
    for name, host in session.world.hosts.items():
        try:
            session.world.reach(name, session.process)
        except HostError as error:
            failed[name] = error.problems[0].what
            continue
        software = host.software
        state = PatchState("debian 13", "amd64", software.running, offered=(offer.to(software.version),))
        reboots = (f"kernel 6.{offer.version}",) if offer.kernel else ()
        broken = ("small is half-configured",) if software.half else ()
        plans[name] = HostPlan(name, state, None, reboots, broken, (), ())
    kinds = kinds_of({name: Wanted(one.state) for name, one in plans.items()})
    document = plan_document(kinds, only_security=False)
    return Plan(tuple(plans.values()), (), schedule(session.fleet, tuple(plans), _NOW, UTC, {}), document, failed)


def gates(world: World, *_: object, **__: object) -> tuple[Gate, ...]:
    state = GateState.OPEN if world.gates_open else GateState.CLOSED
    return (Gate("window", state, "as the simulation says"),)


def well(session: SimulatedSession, name: str) -> SimpleNamespace:
    return SimpleNamespace(facts=session.world.reach(name, session.process).software.facts)


def services_replaced(session: SimulatedSession, name: str) -> Replaced:
    """Restart nothing that is simulated. Only a host that is changed may be asked to."""
    software = session.world.reach(name, session.process).software
    last = software.last
    assert last, f"services of {name} are restarted without packages"
    assert not last.finished, f"services of {name} are restarted after its change"
    assert not software.busy, f"services of {name} are restarted while its packages are changed"
    return Replaced()


@contextmanager
def patch_seams(world: World) -> Iterator[None]:
    """Answer in place of Prometheus, apt's plan and roles/patch/well.py. Steps on a lost host are given up early."""
    clock = world.clock()
    time = SimpleNamespace(monotonic=clock.now, sleep=clock.sleep)
    replaced: list[tuple[Any, str, Any]] = [(packages, "time", time)]
    replaced += [(module, "compared_under_lease", lambda _: Compared(same=True)) for module in (run, resume)]
    for module in (run, host_change):
        replaced += [
            (module, "look", lambda *_: None),
            (module, "gates", partial(gates, world)),
            (module, "well", well),
        ]
    host_packages = partial(packages.HostPackages, lost_seconds=LOST_SECONDS)
    replaced += [(host_change, "HostPackages", host_packages), (host_change, "services_replaced", services_replaced)]
    with ExitStack() as patched:
        for module, name, fake in replaced:
            patched.enter_context(patch.object(module, name, fake))
        yield


@contextmanager
def offering(offer: Offer) -> Iterator[None]:
    from tests.lifecycle.world.session import surveyed

    with (
        patch.object(run, "patch_plan", lambda session, **_: patch_plan(session, offer)),
        patch.object(run, "survey", surveyed),
    ):
        yield
