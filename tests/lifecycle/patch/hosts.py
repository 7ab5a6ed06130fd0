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


def under(session: Any, lock: Lock) -> Any:
    return SimpleNamespace(**(vars(session) | {"lock": lock}))


def bench_of(monkeypatch: pytest.MonkeyPatch, **patch: Any) -> Bench:
    """Time, hosts, proofs of engines and audit logs are simulated."""
    fleet, clock = two_hosts(**patch), Clock()
    hosts = {name: Host(name) for name in fleet.hosts}
    traffic = Gateways(up={one.address for one in fleet.replicas})
    made = Bench(clock, fleet, hosts, traffic)

    def host_of(session: Any, name: str) -> Host:
        if made.hosts[name].gone:
            raise HostError("can't be reached", where=name)
        return made.hosts[name]

    def well(session: Any, name: str) -> Any:
        return SimpleNamespace(facts=host_of(session, name).facts)

    def armed(session: Any, name: str, kernel: str | None) -> tuple[str, ...]:
        if kernel:
            host_of(session, name).done(f"arm {kernel}")
            made.hosts[name].kernel = "armed"
        return ()

    def disarmed(session: Any, name: str) -> bool:
        was, made.hosts[name].kernel = host_of(session, name).kernel, "none"
        if was != "none":
            made.hosts[name].done("disarm")
        return was == "booted"

    def committed(session: Any, name: str) -> None:
        host_of(session, name).done("commit")
        made.hosts[name].kernel = "none"

    def reboot(session: Any, name: str, boot: str) -> None:
        if host_of(session, name).boot == boot:
            made.hosts[name].reboot()

    def fell_back(session: Any, name: str) -> str | None:
        return "6.13" if host_of(session, name).kernel == "fell-back" else None

    def untried(session: Any, name: str, kernel: str | None) -> bool:
        host = host_of(session, name)
        return kernel is not None and host.kernel == "none" and host.running != kernel

    def waiting(session: Any, names: Iterable[str]) -> Pending:
        wanted = {name: locked for name in names if (locked := driver_of(session.lock, name))}
        found = [name for name, locked in wanted.items() if host_of(session, name).loaded != locked.set.name]
        return Pending(dict.fromkeys(found, "no module runs"), {})

    fakes: dict[str, Any] = {
        "install_driver": lambda session, _, name, *__: host_of(session, name).install_driver(
            driver_of(session.lock, name)
        ),
        "installed_set": lambda session, name: host_of(session, name).driver,
        "pending": waiting,
        "services_replaced": lambda session, name: host_of(session, name).replaced(),
        "promote": lambda session, *_: made.promoted.append(session.lock),
        "remove_next": lambda _: None,
        "under": under,
        "untried": untried,
        "HostPackages": lambda host, run, changes, *, check=nothing, **_: Packages(host, changes, check),
        "armed": armed,
        "asked_for": lambda session, name: host_of(session, name).asks,
        "boot_now": lambda session, name: host_of(session, name).boot,
        "committed": committed,
        "disarmed": disarmed,
        "fell_back": fell_back,
        "held": lambda session, name: host_of(session, name).done("hold the kernel"),
        "look": made.look,
        "newest": lambda session, name: host_of(session, name).newest,
        "note_leased_act": lambda session, lease, hosts, what: made.acts.append(f"{hosts[0]}: {what}"),
        "well": well,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(host_change, name, fake)
    monkeypatch.setattr(next_drivers, "installed_set", fakes["installed_set"])
    monkeypatch.setattr(host_engines, "reboot", reboot)
    monkeypatch.setattr(procedure, "boot_now", fakes["boot_now"])
    monkeypatch.setattr(procedure, "note_leased_act", fakes["note_leased_act"])
    answers = SimpleNamespace(prove=lambda: None, serves=lambda: None)
    monkeypatch.setattr(host_engines, "Engines", lambda *_: SimpleNamespace(answering=lambda *_: answers))
    monkeypatch.setattr(engine_changes, "SystemClock", lambda: clock)
    monkeypatch.setattr(engine_changes, "GatewayTraffic", lambda session, *_, **__: session.traffic)
    return made
