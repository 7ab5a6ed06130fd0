"""Stand-ins for hosts that are patched: packages, kernels, boots. The rules and the journal are real."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import DriverLock, Lock, driver_of
from rackwright.lifecycle.patch import host_change, next_drivers
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import PlannedHost, keep_plan, plan_document
from rackwright.lifecycle.patch.gates import Seen
from rackwright.lifecycle.patch.kinds import Kind
from rackwright.lifecycle.patch.packages import KeptPackages, StepFailed
from rackwright.lifecycle.patch.run import patches_of
from rackwright.lifecycle.reboot import host_engines, procedure
from rackwright.lifecycle.reboot.pending import Pending
from rackwright.lifecycle.reboot.procedure import Work, open_hosts, rollout_over
from rackwright.lifecycle.rollout import engine_changes
from rackwright.lifecycle.rollout.change import nothing
from rackwright.package_set import Package, PackageChange
from rackwright.roles.patch.replaced import Replaced
from rackwright.state.journal import Entry, open_rollout
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.rollout import HostPart
from tests.lifecycle.patch.memory_store import Store
from tests.lifecycle.patch.seen import seen, two_hosts
from tests.lifecycle.simulation import Clock, Gateways

ADA = Owner(who="ada@desk", machine="desk", why="patch run", run="20261129T013000Z-ffff")
UNIT, FAILED = "unit small.service running", "unit small.service failed"


def change_of(name: str = "openssl", before: str | None = "3.0") -> PackageChange:
    package = Package(name=name, version="3.1", architecture="all", size=1, sha256="a" * 64, url="http://m/o.deb")
    return PackageChange(package=package, before=before)


class Dead(BaseException):
    """The controller lost power."""


@dataclass
class Host:
    name: str
    events: list[str] = field(default_factory=list)
    """What is done to it, in order."""
    boots: int = 0
    running: str = "6.12"
    """Its kernel."""
    kernel: str = "none"
    """What its script of roles/boot says: none, armed, booted or fell-back."""
    newest: str | None = None
    """A kernel that it has installed and doesn't run."""
    hangs: bool = False
    """The new kernel doesn't boot."""
    installed: bool = False
    driver: str = ""
    """Its set of driver and kernel."""
    loaded: str = ""
    """The set whose module runs."""
    unloadable: str = ""
    """A set whose module isn't loaded."""
    stale: bool = False
    """Services run on libraries that were replaced."""
    finished: bool = False
    asks: bool = False
    """An installed package asks for a reboot."""
    none: tuple[str, ...] = ()
    """Packages whose version before can't be had."""
    fails: tuple[str, ...] = ()
    """Steps that fail."""
    after: str = UNIT
    """What it says about its unit once its packages are changed."""
    gone: bool = False
    dies: str = ""
    """The controller dies after it has asked for this step, once."""
    sleeps: str = ""
    """The controller sleeps during this step, and another operator takes the lease meanwhile."""
    taken: Callable[[], None] = lambda: None
    """Takes the lease."""

    @property
    def boot(self) -> str:
        return f"boot-{self.boots}"

    def done(self, what: str) -> None:
        self.events.append(what)
        if what == self.sleeps:
            self.taken()
        if what == self.dies:
            self.dies = ""
            raise Dead
        if what in self.fails:
            raise StepFailed(HostError(f"{what} failed", where=self.name, next="less the.log").problems)

    def install_driver(self, locked: DriverLock | None) -> None:
        assert locked
        self.done(f"install driver {locked.version}")
        self.driver = locked.set.name

    def replaced(self) -> Replaced:
        if not self.stale:
            return Replaced()
        self.done("restart services")
        return Replaced(("small.service",), ("dbus.service",))

    def reboot(self) -> None:
        self.done("reboot")
        self.boots += 1
        self.running, self.loaded = "6.12", "" if self.driver == self.unloadable else self.driver
        if self.kernel == "armed":
            self.kernel = "fell-back" if self.hangs else "booted"
        if self.kernel == "booted" and self.newest:
            self.running = self.newest

    @property
    def facts(self) -> tuple[str, ...]:
        return (f"kernel {self.running}", self.after if self.installed else UNIT)


@dataclass
class Packages:
    """Like HostPackages."""

    host: Host
    changes: tuple[PackageChange, ...]
    check: Callable[[], None]

    def keep(self) -> KeptPackages:
        self._step("keep")
        return KeptPackages((), self.host.none)

    def install(self) -> None:
        self._step("install")
        self.host.installed = True

    def revert(self) -> None:
        self._step("revert")
        self.host.installed = self.host.finished = False

    def finish(self) -> None:
        self._step("finish")
        self.host.finished = True

    def settle(self) -> None:
        self.host.done("settle")

    def installed(self) -> bool:
        return self.host.installed

    def finished(self) -> bool:
        return self.host.finished

    def __getattr__(self, step: str) -> Callable[[], None]:
        return lambda: self._step(step)

    def _step(self, step: str) -> None:
        self.check()
        self.host.done(step)


@dataclass
class Bench:
    clock: Clock
    fleet: Fleet
    hosts: dict[str, Host]
    traffic: Gateways
    store: Store = field(default_factory=Store)
    said: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    """The entries in the hosts' audit logs."""
    looks: list[Seen] = field(default_factory=list)
    """What the gates see, one after another; then everything is well."""
    asked: list[frozenset[str]] = field(default_factory=list)
    """For each time that the gates are judged: the hosts under change."""
    drivers: dict[str, Any] = field(default_factory=dict)
    locks: tuple[Lock, Lock] | None = None
    """What a run that changes drivers leads from, and to."""
    lock: Lock | None = None
    promoted: list[Lock] = field(default_factory=list)
    options: Asked = field(default_factory=Asked)
    known: tuple[PlannedHost, ...] = ()

    @property
    def session(self) -> Any:
        specs = {name: SimpleNamespace(driver=self.drivers.get(name)) for name in self.hosts}
        return SimpleNamespace(
            fleet=self.fleet,
            lock=self.locks[1] if self.locks else self.lock,
            hosts=specs,
            remote=SimpleNamespace(each=self.each, connection=self.hosts.get, run_on=self.run_on),
            gateways=SimpleNamespace(servers=self._servers),
            leaving=SimpleNamespace(
                records=lambda: {one: SimpleNamespace(manual=False) for one in self.traffic.left}
            ),
            traffic=self.traffic,
        )

    @property
    def console(self) -> Any:
        return SimpleNamespace(say=self.said.append, heard=lambda: None, confirm=lambda question: None)

    def each(self, names: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
        return {name: work(name) for name in names}

    def run_on(self, names: Iterable[str], command: str, **_: object) -> dict[str, Any]:
        return {name: HostError("gone", where=name) if self.hosts[name].gone else None for name in names}

    def lease_session(self) -> LeaseSession:
        if lease := self.store.show():
            self.store.break_(lease)
        return LeaseSession(self.store, self.store.acquire(ADA), now())

    def opened(self, *names: str, reboots: bool = False, may_reboot: bool = False) -> Work:
        """Open a patch run of these hosts, each with one package."""
        lease_session = self.lease_session()
        kind = Kind(name="k", system="debian 13", architecture="amd64", hosts=names, changes=(change_of(),))
        parts = [self.part(name, reboots=reboots, may_reboot=may_reboot) for name in names]
        rollout = rollout_over(lease_session, "patch", "patch run", parts, (), self.locks)
        plan = plan_document([kind], only_security=False)
        known = {"asked": self.options, "hosts": self.known, "rollout": rollout}
        keep_plan(lease_session, plan.model_copy(update=known))
        open_hosts(lease_session, rollout)
        return Work(self.session, lease_session, rollout, self.console, lambda: False, changes_of=patches_of)

    def part(self, name: str, *, reboots: bool, may_reboot: bool) -> HostPart:
        replicas = tuple(one.address for one in self.fleet.parts_on(name))
        boot, before = self.hosts[name].boot, self.hosts[name].facts
        coming = driver_of(self.locks[1], name) if self.locks else None
        return HostPart(
            name=name,
            why="1 package",
            boot=boot,
            replicas=replicas,
            reboots=reboots,
            may_reboot=may_reboot,
            driver=coming.name if coming else None,
            before=before,
        )

    def again(self, work: Work) -> Work:
        """Return the same run as another machine takes it over."""
        return Work(
            self.session, self.lease_session(), work.rollout, self.console, lambda: False, changes_of=patches_of
        )

    def look(self, *_: object) -> Seen:
        return self.looks.pop(0) if self.looks else seen()

    def journal(self) -> list[Entry]:
        return list(self.store.entries())

    def phases(self, host: str) -> list[str]:
        return [entry.phase for entry in self.journal() if entry.subject == host]

    @property
    def open(self) -> bool:
        return open_rollout(self.journal()) is not None

    def _servers(self) -> dict[str, Any]:
        drained = self.traffic.drained
        return {
            one.address: SimpleNamespace(
                address=one.address, drained=one.address in drained, drained_manually=False, takes_requests=True
            )
            for one in self.fleet.replicas
        }


@dataclass
class Fakes:
    """What the change of a host calls, by the name of the function that each method replaces."""

    bench: Bench

    def host(self, name: str) -> Host:
        if self.bench.hosts[name].gone:
            raise HostError("can't be reached", where=name)
        return self.bench.hosts[name]

    def well(self, session: Any, name: str) -> Any:
        return SimpleNamespace(facts=self.host(name).facts)

    def boot_now(self, session: Any, name: str) -> str:
        return self.host(name).boot

    def asked_for(self, session: Any, name: str) -> bool:
        return self.host(name).asks

    def newest(self, session: Any, name: str) -> str | None:
        return self.host(name).newest

    def reboot(self, session: Any, name: str, boot: str) -> None:
        if self.host(name).boot == boot:
            self.host(name).reboot()

    def services_replaced(self, session: Any, name: str) -> Replaced:
        return self.host(name).replaced()

    def HostPackages(self, host: Host, run: str, changes: Any, *, check: Any = nothing, **_: Any) -> Packages:
        return Packages(host, changes, check)

    # The kernel.

    def held(self, session: Any, name: str) -> None:
        self.host(name).done("hold the kernel")

    def armed(self, session: Any, name: str, kernel: str | None) -> tuple[str, ...]:
        if kernel:
            self.host(name).done(f"arm {kernel}")
            self.host(name).kernel = "armed"
        return ()

    def disarmed(self, session: Any, name: str) -> bool:
        host = self.host(name)
        was, host.kernel = host.kernel, "none"
        if was != "none":
            host.done("disarm")
        return was == "booted"

    def committed(self, session: Any, name: str) -> None:
        self.host(name).done("commit")
        self.host(name).kernel = "none"

    def fell_back(self, session: Any, name: str) -> str | None:
        return "6.13" if self.host(name).kernel == "fell-back" else None

    def untried(self, session: Any, name: str, kernel: str | None) -> bool:
        host = self.host(name)
        return kernel is not None and host.kernel == "none" and host.running != kernel

    # The driver.

    def install_driver(self, session: Any, work: object, name: str, *_: object) -> None:
        self.host(name).install_driver(driver_of(session.lock, name))

    def installed_set(self, session: Any, name: str) -> str:
        return self.host(name).driver

    def pending(self, session: Any, names: Iterable[str]) -> Pending:
        wanted = {name: locked for name in names if (locked := driver_of(session.lock, name))}
        found = [name for name, locked in wanted.items() if self.host(name).loaded != locked.set.name]
        return Pending(dict.fromkeys(found, "no module runs"), {})

    @staticmethod
    def under(session: Any, lock: Lock) -> Any:
        return SimpleNamespace(**(vars(session) | {"lock": lock}))

    def promote(self, session: Any, *_: object) -> None:
        self.bench.promoted.append(session.lock)

    def remove_next(self, _: object) -> None: ...

    # The control host.

    def look(self, *_: object) -> Seen:
        return self.bench.look()

    def note_leased_act(self, session: Any, lease_session: object, hosts: Any, what: str) -> None:
        self.bench.acts.append(f"{hosts[0]}: {what}")


def bench_of(monkeypatch: pytest.MonkeyPatch, **patch: Any) -> Bench:
    """Time, hosts, proofs of engines and audit logs are simulated."""
    fleet, clock = two_hosts(**patch), Clock()
    hosts = {name: Host(name) for name in fleet.hosts}
    traffic = Gateways(up={one.address for one in fleet.replicas})
    made = Bench(clock, fleet, hosts, traffic)
    fakes = Fakes(made)
    for name in (name for name in vars(Fakes) if name[0] != "_" and name not in ("bench", "host", "reboot")):
        monkeypatch.setattr(host_change, name, getattr(fakes, name))
    for module, name in _ELSEWHERE:
        monkeypatch.setattr(module, name, getattr(fakes, name))
    answers = SimpleNamespace(prove=lambda: None, serves=lambda: None)
    monkeypatch.setattr(host_engines, "Engines", lambda *_: SimpleNamespace(answering=lambda *_: answers))
    monkeypatch.setattr(engine_changes, "SystemClock", lambda: clock)
    monkeypatch.setattr(engine_changes, "GatewayTraffic", lambda session, *_, **__: session.traffic)
    return made


_ELSEWHERE = (
    (next_drivers, "installed_set"),
    (host_engines, "reboot"),
    (procedure, "boot_now"),
    (procedure, "note_leased_act"),
)
"""Functions of other modules that are replaced, too."""
