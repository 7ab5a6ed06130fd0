"""The whole simulated fleet at one time, and what must hold at every moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.rollout.change import Kill
from rackwright.lifecycle.session.control_host import latest
from rackwright.roles.gateway.configuration import TEMPLATES
from rackwright.state.canaries import CanaryVerdict
from rackwright.state.control import parse_control
from tests.lifecycle.timeline import Timeline
from tests.lifecycle.world.engines import Behaviour, Engine, Host
from tests.lifecycle.world.host_watch import HostWatch
from tests.lifecycle.world.store import Control
from tests.lifecycle.world.traffic import Share


def old_workers_pass_on() -> bool:
    """Whether HAProxy is configured so that a replaced worker passes on the requests that it still gets.

    tests/gateway/test_replaced.py proves with real workers that it then does.
    """
    return "use_backend next if passed" in (TEMPLATES / "haproxy.cfg.j2").read_text()


class Killed(BaseException):
    """The tool's process is gone."""


@dataclass
class Process:
    """One run of the tool by one operator."""

    who: str
    dead: bool = False
    asleep: bool = False
    """Its machine sleeps: nothing renews its lease."""
    slept: bool = False
    """It has slept at least once."""
    ended: bool = False
    allow_outage: bool = False
    manual: bool = False
    """It changes the gateways directly, without the tool."""
    under: set[str] = field(default_factory=set)
    """The hosts that it has drained and not yet returned."""
    failing: tuple[str, float] | None = None
    """The host that was the first to fail, and when."""
    timeline: Timeline | None = None
    """Of what it does at the same time; None: it does one thing after another."""

    @property
    def renews(self) -> bool:
        return not (self.dead or self.asleep or self.ended)

    def breathe(self) -> None:
        """Raise Killed if the process is dead; called before it touches anything."""
        if self.dead:
            raise Killed

    def give_way(self) -> None:
        """Let its other work go on, as while a host answers."""
        if self.timeline:
            self.timeline.wait(0)
        self.breathe()


@dataclass
class Gate:
    """One gateway."""

    name: str
    drained: set[str] = field(default_factory=set)
    records: dict[str, DrainRecord] = field(default_factory=dict)
    downtimes: set[str] = field(default_factory=set)
    reachable: bool = True
    shares: dict[str, Share] = field(default_factory=dict)
    """By model."""
    control: str = ""
    """Its record of the control host."""
    lost: bool = False
    """The host is lost, with the data that it keeps as a control host."""
    old: list[set[str]] = field(default_factory=list)
    """For each replaced worker that still has clients: what was drained when it was replaced."""

    @property
    def sends(self) -> bool:
        return self.reachable and not self.lost

    def reload(self) -> None:
        self.old.append(set(self.drained))

    def share(self, model: str, now: float) -> Share | None:
        share = self.shares.get(model)
        return share if share and share.until > now else None

    def unshare(self, address: str) -> None:
        self.shares = {model: share for model, share in self.shares.items() if share.address != address}


@dataclass
class Clock:
    world: World
    process: Process

    def now(self) -> float:
        return self.world.now

    def sleep(self, seconds: float) -> None:
        self.process.breathe()
        self.timeline.wait(seconds)
        self.process.breathe()

    def start(self, work: Callable[[], None]) -> Kill:
        return self.timeline.start(work)

    @property
    def timeline(self) -> Timeline:
        if self.process.timeline is None:
            self.process.timeline = Timeline(self.now, self.world.advance)
        return self.process.timeline


@dataclass
class World:
    fleet: Fleet
    hosts: dict[str, Host]
    gates: dict[str, Gate]
    control: Control = field(default_factory=Control)
    """Of gate1."""
    others: dict[str, Control] = field(default_factory=dict)
    """Of other hosts that were the control host once, or that an operator takes for it."""
    now: float = 1_000_000.0
    process: Process = field(default_factory=lambda: Process("nobody"))
    """The process that runs now."""
    seen: set[str] = field(default_factory=set)
    """Replicas that the gateways found up at their last look."""
    requests: dict[str, float] = field(default_factory=dict)
    """Replica → when its requests in flight end."""
    manual: set[str] = field(default_factory=set)
    """Replicas that an admin keeps drained."""
    gates_open: bool = True
    """Whether a patch run may start a host."""
    told: dict[str, str] = field(default_factory=dict)
    """Model → the version that gateways report."""
    applied: dict[str, str] = field(default_factory=dict)
    """Model → the version that the control hosts keep as last applied."""
    busy: float = 1.0
    """How busy clients are, relative to normal."""
    verdicts: list[CanaryVerdict] = field(default_factory=list)
    """The verdicts that the control host keeps."""
    surprises: list[Callable[[], None]] = field(default_factory=list)
    """What happens at the next ticks, one at each."""
    changes: list[str] = field(default_factory=list)
    """What operators did to hosts and gateways."""
    unleased: list[str] = field(default_factory=list)
    """What they did without the lease."""
    fault: Callable[[int], None] = lambda number: None
    """Called after each change, with its number from 1; raises to fail it."""

    @cached_property
    def watch(self) -> HostWatch:
        return HostWatch(self)

    def clock(self) -> Clock:
        return Clock(self, self.process)

    def control_of(self, host: str) -> Control:
        return self.control if host == "gate1" else self.others.setdefault(host, Control(host=host))

    @property
    def controls(self) -> tuple[Control, ...]:
        return self.control, *self.others.values()

    def replica(self, address: str) -> Replica:
        return next(one for one in self.fleet.replicas if one.address == address)

    def engines(self, replica: Replica) -> list[Engine]:
        return [self.hosts[host].engines[replica.name] for host in replica.hosts]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        if self.surprises:
            self.surprises.pop(0)()
        for host in self.hosts.values():
            if host.booting is not None and host.booting <= self.now:
                host.boot(self.now)
            if host.up:
                host.software.tick(self.now)
            for engine in host.engines.values() if host.up else ():
                engine.tick(self.now)
        for control in self.controls:
            control.tick(self.now)
        self.look()
        self.check()
        self.watch.check()

    def look(self) -> None:
        self.seen = {one.address for one in self.fleet.replicas if self.up(one)}
        for one in self.fleet.replicas:
            if any(engine.started is None for engine in self.engines(one)):
                self.requests.pop(one.address, None)

    def up(self, replica: Replica) -> bool:
        """Whether its engines answer, all with one version, and are reachable."""
        engines = self.engines(replica)
        whole = all(self.hosts[host].reachable for host in replica.hosts)
        return whole and all(one.answers(self.now) for one in engines) and len({one.started for one in engines}) == 1

    def changed(self, process: Process, what: str) -> None:
        self.refuse_unleased(process, what)
        self.changes.append(f"{process.who}: {what}")
        if process is self.process:
            self.fault(len(self.changes))

    def kept(self, gate: Gate, model: str) -> None:
        """A client whose connection an old worker keeps asks for a model."""
        for drained in gate.old:
            view = gate.drained if old_workers_pass_on() else drained
            sends = {name for name in self.seen - view if f"/{model}@" in name}
            assert not sends & gate.drained, f"an old worker sends requests to {sends & gate.drained}, drained"

    @property
    def control_host(self) -> str:
        """The control host, by the newest record of it."""
        records = (parse_control(gate.control, gate.name) for gate in self.gates.values())
        newest = latest(records)
        assert newest
        return newest.hosts[0]

    def refuse_unleased(self, process: Process, what: str) -> None:
        leased = self.control_of(self.control_host).held_by(process, self.now)
        if not (leased or process.manual):
            self.unleased.append(f"{process.who} changes something without the fleet's lease: {what}")
        assert not self.unleased, self.unleased

    def in_flight(self, address: str) -> int:
        return int(self.requests.get(address, 0.0) > self.now)

    def healthy(self, model: str) -> set[str]:
        drained = set().union(*(gate.drained for gate in self.gates.values()))
        return {name for name in self.seen - drained if f"/{model}@" in name}

    def refuse_serving(self, host: Host) -> None:
        """Check that a host may be rebooted or patched: nothing on it serves, unless an admin wanted it to."""
        for replica in self.fleet.parts_on(host.name):
            if replica.address in self.seen - self.watch.undone:
                assert all(replica.address in gate.drained for gate in self.gates.values()), (
                    f"{host.name} is changed under traffic"
                )
            assert not self.in_flight(replica.address), "requests in flight were killed"

    def refuse_away(self, host: Host) -> None:
        """Check that a host may be rebooted: not too many are away for a reboot."""
        patch = self.fleet.file.patch
        booting = [one.name for one in self.hosts.values() if one.booting is not None]
        assert patch is None or len(booting) < patch.max_unavailable, f"{host.name} reboots beside {booting}"

    def restart(self, host: Host, name: str) -> None:
        """Restart all members along with the first."""
        replica = self.replica(f"{host.name}/{name}")
        assert all(replica.address in gate.drained for gate in self.gates.values()), "restarted under traffic"
        assert not self.in_flight(replica.address), "requests in flight were killed"
        for member in replica.hosts:
            if self.hosts[member].up:
                engine = self.hosts[member].engines[name]
                engine.start(self.now)
                engine.starts += 1
        self.look()

    def refuse_over_budget(self, address: str, process: Process) -> None:
        """Check that a rollout may take this replica out of traffic."""
        model = self.replica(address).model
        healthy = self.healthy(model)
        if address not in healthy:
            return
        others = len(healthy - {address})
        assert others or process.allow_outage, f"{address} was the last healthy replica"
        gone = len(self.fleet.replicas_of(model)) - others
        budget = self.fleet.file.rollout.max_unavailable
        assert gone <= budget or not others, f"{address} was taken: {gone} unavailable, the budget is {budget}"

    def fails_clients(self, address: str) -> bool:
        return any(engine.behaviour is Behaviour.FAILS_CLIENTS for engine in self.engines(self.replica(address)))

    def shared(self) -> set[str]:
        """Return the canaries that get a share at a gateway."""
        shares = [gate.share(model, self.now) for gate in self.gates.values() for model in gate.shares]
        return {share.address for share in shares if share}

    def check(self) -> None:
        """A canary is drained for other traffic, and a model has one at most. An admin's drain is never undone."""
        for gate in self.gates.values():
            # One gateway after another undrains it, and ends its share there.
            for share in filter(None, (gate.share(model, self.now) for model in gate.shares)):
                assert share.address in gate.drained, f"{share.address} is a canary, not drained at {gate.name}"
        live = [control.host for control in self.controls if control.live(self.now)]
        assert len(live) <= 1, f"two leases live at a time, on {' and '.join(live)}"
        assert not self.shared() & self.manual, "drained by hand, and it has a share"
        assert len({address.partition("/")[2].partition("@")[0] for address in self.shared()}) == len(self.shared())
        for address in self.manual:
            for gate in self.gates.values():
                record = gate.records.get(address)
                assert address in gate.drained, f"{address} was drained by hand and isn't any more"
                assert record is None or record.manual, f"{address} was drained by hand, its record says by a run"

    @contextmanager
    def at_work(self, process: Process) -> Iterator[None]:
        before, self.process = self.process, process
        try:
            yield
        finally:
            self.process = before

    def reach(self, name: str, process: Process) -> Host:
        """Return the host. Raise HostError if it is unreachable."""
        process.breathe()
        host = self.hosts[name]
        if not host.reachable:
            raise HostError("unreachable", where=name)
        return host
