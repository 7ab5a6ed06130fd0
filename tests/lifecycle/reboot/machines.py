"""Stand-ins for machines that reboot into a driver and a kernel, with their engines and the fleet's gateways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.reboot.boot_identity import BOOT_COMMAND, reboot_command
from rackwright.lifecycle.reboot.host_engines import GATEWAY_COMMAND
from rackwright.remote.completed import Completed
from rackwright.roles.boot.one_boot import arm_command, commit_command, disarm_command, hold_command, look_command
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.state.store import FileStore
from tests.fleet.fleets import make_fleet
from tests.lifecycle.simulation import Gateways
from tests.shells import LocalShell

NEW, OLD = "580.95.05", "570.86.15"
NEXT_KERNEL, KERNEL = "6.12.120+deb13-amd64", "6.12.117+deb13-amd64"
HOSTS = ("gpu1", "gpu2", "gpu3")
WHY = f"{NEW} is installed, module {OLD} runs"


@dataclass
class OneBootScript:
    """What the host's script says and does; `NEXT_KERNEL` boots unless it is broken."""

    state: str = "none"
    armed: str = "-"
    running: str = KERNEL
    default: str = KERNEL
    hands: tuple[str, ...] = ()
    broken: bool = False
    """The new kernel doesn't boot."""

    def look(self) -> str:
        lines = (f"{key} {getattr(self, key)}" for key in ("state", "armed", "running", "default"))
        return "".join(f"{line}\n" for line in (*lines, *(f"hands {one}" for one in self.hands)))

    def arm(self) -> None:
        self.state, self.armed = "armed", NEXT_KERNEL

    def disarm(self) -> None:
        self.state, self.armed = "none", "-"

    def commit(self) -> None:
        self.state, self.armed, self.default = "none", "-", self.running

    def boot(self) -> None:
        if self.state == "armed":
            self.state = "fell-back" if self.broken else "booted"
            self.running = self.default if self.broken else self.armed
        else:
            self.running = self.default


@dataclass
class Machine:
    """A host that boots into the driver that was installed, unless something is wrong with it."""

    name: str = ""
    events: list[str] = field(default_factory=list)
    """What is done to it, in order."""
    loaded: str = OLD
    after: str = NEW
    """The module's version after a reboot."""
    script: OneBootScript | None = field(default_factory=OneBootScript)
    engines: tuple[str, ...] = ("assistant@1",)
    """Those that run."""
    stopped: tuple[str, ...] = ()
    """Those that have a unit and don't run."""
    gateway: bool = True
    """Whether a gateway that the fleet file names here is set up."""
    gone: bool = False
    stays_away: bool = False
    boots: int = 0
    leaving: int = 0
    """How many more questions it answers before it goes down."""
    down: int = 0
    """For how many more questions it is unreachable."""
    kills: int = 0
    """How many answers break off where the host would say which boot this is."""
    kills_on_its_way_down: int = 0
    fails: tuple[str, ...] = ()
    """The events that fail."""
    cut: bool = False
    """It can't be reached for now."""

    @property
    def boot(self) -> str:
        return f"boot-{self.boots}\n1.2\n3"

    def run(self, command: str, *, timeout: float | None = 60, **_: object) -> Completed:
        if self.gone or self.cut:
            raise HostError("unreachable", where=self.name)
        if self.down:
            self.down -= 1
            raise HostError("connection refused", where=self.name)
        reply = self._reply(command)
        if self.leaving and command == BOOT_COMMAND:
            self.leaving -= 1
            if not self.leaving:
                self._boot()
        return reply

    def _reply(self, command: str) -> Completed:
        if command == "true":
            return self._said("")
        if command == GATEWAY_COMMAND:
            return Completed(0 if self.gateway else 1, b"", b"", self.name)
        if command == BOOT_COMMAND:
            if self.kills:
                self.kills -= 1
                return Completed(143, b"boot-", b"", self.name)
            return self._said(f"{self.boot}\n")
        if "systemctl reboot" in command:
            return self._asked_to_reboot(command)
        if "/sys/module/nvidia/version" in command:
            return self._said(f"{self.loaded}\n{self.script.running if self.script else KERNEL}\n")
        if command == REPLICAS_COMMAND:
            states = {**dict.fromkeys(self.engines, "active"), **dict.fromkeys(self.stopped, "inactive")}
            return self._said("".join(f"replica={name}\nActiveState={state}\n" for name, state in states.items()))
        if look_command() in command:
            return self._said(self.script.look() if self.script else "")
        if "is-system-running" in command:
            return self._said("running\n")
        assert self.script, f"{self.name} has no script: {command}"
        for said, what, act in (
            (hold_command(), "hold", lambda script: None),
            (arm_command(NEXT_KERNEL), "arm", OneBootScript.arm),
            (disarm_command(), "disarm", OneBootScript.disarm),
            (commit_command(), "commit", OneBootScript.commit),
        ):
            if command == said:
                return self._done(what, act, self.script)
        raise AssertionError(command)

    def _said(self, text: str) -> Completed:
        return Completed(0, text.encode(), b"", self.name)

    def _done(self, what: str, act: Callable[[OneBootScript], None], script: OneBootScript) -> Completed:
        self.events.append(what)
        if what in self.fails:
            return Completed(1, b"", b"GRUB says no\n", self.name)
        act(script)
        return Completed(0, b"", b"", self.name)

    def _asked_to_reboot(self, command: str) -> Completed:
        if command != reboot_command(self.boot):
            return Completed(75, b"", b"", self.name)
        self.events.append("reboot")
        if "reboot" in self.fails:
            return Completed(1, b"", b"Interactive authentication required.\n", self.name)
        self.leaving, self.kills = 2, self.kills_on_its_way_down
        return Completed(0, b"", b"", self.name)

    def _boot(self) -> None:
        self.boots += 1
        self.loaded, self.down, self.gone = self.after, 3, self.stays_away
        if self.script:
            self.script.boot()

    def close(self) -> None: ...


@dataclass
class Remote:
    machines: dict[str, Machine]

    def connection(self, name: str) -> Machine:
        return self.machines[name]

    def run_on(self, names: Iterable[str], command: str, **_: object) -> dict[str, Completed | HostError]:
        def run(name: str) -> Completed | HostError:
            try:
                return self.machines[name].run(command)
            except HostError as error:
                return error

        return self.each(names, run)

    def each(self, names: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
        return {name: work(name) for name in dict.fromkeys(names)}

    def open_ahead(self, names: Iterable[str]) -> None: ...


@dataclass
class Session:
    """The procedures use it like lifecycle/session/session.py's Session."""

    fleet: Fleet
    machines: dict[str, Machine]
    hosts: dict[str, Any]
    traffic: Gateways
    store: FileStore
    unknown: set[str] = field(default_factory=set)
    """Addresses of replicas that no gateway knows."""
    gateways_answer: bool = True
    answers: dict[str, str] = field(default_factory=dict)
    """Replica → why it doesn't answer at its socket."""
    through: dict[str, str] = field(default_factory=dict)
    """Replica → why it doesn't answer through the gateways."""

    @property
    def remote(self) -> Remote:
        return Remote(self.machines)

    @property
    def gateways(self) -> SimpleNamespace:
        return SimpleNamespace(servers=self._servers)

    @property
    def leaving(self) -> SimpleNamespace:
        def records() -> dict[str, SimpleNamespace]:
            left = {*self.traffic.left, *self.traffic.manual} & {*self.fleet.gateways}
            return {name: SimpleNamespace(manual=name in self.traffic.manual) for name in left}

        return SimpleNamespace(records=records)

    def _servers(self) -> dict[str, SimpleNamespace]:
        if not self.gateways_answer:
            raise HostError("asking for states failed", where="gate1")
        return {
            one.address: SimpleNamespace(
                address=one.address,
                takes_requests=one.address in self.traffic.healthy(one.model),
                drained=one.address in self.traffic.drained | self.traffic.manual,
                drained_manually=one.address in self.traffic.manual,
            )
            for one in self.fleet.replicas
            if one.address not in self.unknown
        }


def session(
    folder: Path,
    placed: Sequence[tuple[str, str]] = tuple((name, "assistant@1") for name in HOSTS),
    *,
    gateways: tuple[str, ...] = ("gate1",),
    local: str | None = None,
    version: str | None = NEW,
    kernel: str | None = None,
    **sections: Any,
) -> Session:
    """`placed`: host and replica. All replicas serve, on the old driver."""
    names = tuple(dict.fromkeys(host for host, _ in placed))
    every = tuple(dict.fromkeys((*gateways, "gate1", *names)))
    hosts = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(every, 1)}
    if local:
        hosts[local] = {"address": "@local"}
    on: dict[str, list[str]] = {name: [one for host, one in placed if host == name] for name in names}
    gateway = {"on": list(gateways), "domain": "llm.acme.internal"}
    made = make_fleet(folder / "site.yml", replicas=on, hosts=hosts, gateway=gateway, **sections)
    fleet = replace(made, replicas=tuple(replace(one, gpus=8) for one in made.replicas))
    none = {"runtimes": (), "cuda": None, "p2p": None, "model_store": None}
    specs: dict[str, Any] = {
        name: SimpleNamespace(
            driver=SimpleNamespace(version=version, kernel=kernel),
            replicas=tuple(SimpleNamespace(unit=f"rackwright-{one}.service") for one in on[name]),
            **none,
        )
        for name in names
    }
    bare = SimpleNamespace(driver=None, replicas=(), **none)
    machines = {name: Machine(name, engines=tuple(on.get(name, ()))) for name in every}
    return Session(
        fleet,
        machines,
        dict.fromkeys(every, bare) | specs,
        Gateways(up={one.address for one in fleet.replicas}),
        FileStore(LocalShell(), str(folder / "control")),
    )


@dataclass
class Console:
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def stage(self, *_: object, **__: object) -> None: ...

    heard = confirm = stage
