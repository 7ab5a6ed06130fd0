"""A stateful machine: operators, admins and accidents in any order, on random fleets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rackwright.errors import RackwrightError
from rackwright.fleet.sections.canary import Canary
from rackwright.state.journal import open_rollout
from tests.lifecycle.world.engines import OLD_DRIVER, Behaviour, version_of
from tests.lifecycle.world.faults import Fault, failing
from tests.lifecycle.world.patching import Offer
from tests.lifecycle.world.session import Desk, make_world, versions
from tests.lifecycle.world.software import Coming, Trouble
from tests.lifecycle.world.world import Killed, World

MODELS = ("chat", "code", "embed")
HOSTS = tuple(f"gpu{number}" for number in range(1, 6))
CANARY = Canary(share=(10, 50), min_duration="2s", min_requests=20, max_duration="60s")
ACCIDENTS = tuple(
    (
        "crash,boot,cut,join,full,room,cut gateway,join gateway,lose gateway,find gateway,"
        "drain,drain unrecorded,undrain,close gates,open gates,ask,answer,"
        "reload,reload,kept,kept,kept,suspend,suspend,suspend"
    ).split(",")
)

fleets = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 5), min_size=1, max_size=3),
        "budget": st.integers(1, 3),
        "hosts": st.integers(1, 3),
        "gateways": st.integers(1, 2),
        "joined": st.booleans(),
        "canary": st.booleans(),
    }
)
updates = st.fixed_dictionaries(
    {"kernel": st.booleans(), "asks": st.booleans(), "boots": st.sampled_from((True, True, False))}
)
"""The packages of a patch run: whether they bring a kernel or ask for a reboot, and whether hosts may reboot."""
numbers = st.integers(0, 99)
accidents = st.tuples(st.sampled_from(ACCIDENTS), numbers)
"""The accident, and the number that selects its target among the possible ones."""
troubles = st.dictionaries(st.integers(0, 60), accidents, max_size=3)
"""The tick of a run at which each happens."""
faults = st.one_of(
    st.none(),
    st.builds(
        Fault,
        st.integers(1, 40),
        written=st.booleans(),
        change=st.booleans(),
        dies=st.sampled_from((True, True, False)),
    ),
)
files = st.sampled_from(("gate1", "gate1", "gate2"))
"""The fleet file that an operator uses: the control host that it names, if that is a gateway."""
reads = st.sampled_from((0.0, 0.0, 30.0, 90.0, 300.0))
"""Seconds until a question is answered."""
behaviours = st.dictionaries(numbers, st.sampled_from(Behaviour), max_size=2)
"""Behaviors of the new version, by replica."""
host_troubles = st.dictionaries(numbers, st.sampled_from(Trouble), max_size=2)
"""What goes wrong with a patch run's packages, by host."""


def abort_without_traffic(desk: Desk) -> None:
    """Abort while every replica is drained manually: a model's only replica may have been changed while drained."""
    for replica in desk.world.fleet.replicas:
        desk.drain(replica.address)
    try:
        desk.abort()
    finally:
        for replica in desk.world.fleet.replicas:
            desk.undrain(replica.address)


class RolloutMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rollout-machine-"))
        self.world: World
        self.versions = 1
        self.begun = 0
        """Runs of the tool."""
        self.patches = 1
        self.due: dict[str, int] = {}
        """How many rollouts were opened that reboot the host."""
        self.left: set[str] = set()
        """Replicas that a restart left drained: no rollout exists that would undrain them."""

    @initialize(fleet=fleets)
    def begin(self, fleet: dict[str, object]) -> None:
        sizes = dict(zip(MODELS, fleet["sizes"], strict=False))  # type: ignore[call-overload]
        placed = {
            host: names
            for place, host in enumerate(HOSTS)
            if (names := [f"{model}@1" for model, size in sizes.items() if place < size])
        }
        members = {f"gpu1/{MODELS[0]}@1": ("gpu1", "gpu6")} if fleet["joined"] else {}
        self.world = make_world(
            self.folder,
            placed,
            members=members,
            gateways=fleet["gateways"],
            canary=CANARY if fleet["canary"] else None,
            hosts=fleet["hosts"],
            max_unavailable=fleet["budget"],
        )
        self.due = dict.fromkeys(self.world.hosts, 0)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.mend()
                self.finish()
        finally:
            shutil.rmtree(self.folder)

    # What operators do.

    @precondition(lambda self: not self.open)
    @rule(
        models=numbers,
        behaviours=behaviours,
        outage=st.booleans(),
        canary=st.sampled_from((True, True, False)),
        file=files,
        reads=reads,
        troubles=troubles,
        fault=faults,
    )
    def update(
        self, models: int, behaviours: dict[int, Behaviour], outage: bool, canary: bool, file, reads, troubles, fault
    ) -> None:
        self.versions += 1
        version = f"v{self.versions}"
        for number, behaviour in behaviours.items():
            self.fault(number, version, behaviour)
        asked = dict.fromkeys(self.some_models(models), version)
        self.run(
            lambda desk: desk.update(asked, allow_outage=outage, canary=canary), troubles, fault, file, reads=reads
        )

    @precondition(lambda self: not self.open and self.versions > 1)
    @rule(models=numbers, back=numbers, outage=st.booleans(), file=files, troubles=troubles, fault=faults)
    def rollback(self, models: int, back: int, outage: bool, file, troubles, fault) -> None:
        asked = dict.fromkeys(self.some_models(models), f"v{1 + back % self.versions}")
        self.run(lambda desk: desk.update(asked, allow_outage=outage, canary=False), troubles, fault, file)

    @rule(first=numbers, count=st.integers(1, 3), file=files, troubles=troubles, fault=faults)
    def restart(self, first: int, count: int, file, troubles, fault) -> None:
        replicas = self.world.fleet.replicas
        start = first % len(replicas)
        self.run(lambda desk: desk.restart(replicas[start : start + count]), troubles, fault, file)
        if not self.open:
            self.left |= self.drained_by_runs

    @precondition(lambda self: not self.open)
    @rule(
        first=numbers,
        count=st.integers(1, 5),
        outage=st.booleans(),
        broken=st.one_of(st.none(), numbers),
        file=files,
        troubles=troubles,
        fault=faults,
    )
    def reboot(self, first: int, count: int, outage: bool, broken: int | None, file, troubles, fault) -> None:
        names = list(self.world.hosts)
        start = first % len(names)
        chosen = tuple(names[start : start + count])
        if broken is not None:
            self.world.hosts[names[broken % len(names)]].loads = False
        for name in chosen:
            self.due[name] += 1
            self.world.hosts[name].loaded = self.world.hosts[name].installed = OLD_DRIVER
        self.run(lambda desk: desk.reboot(chosen, allow_outage=outage), troubles, fault, file)
        self.no_second_reboot()

    @precondition(lambda self: not self.open)
    @rule(
        first=numbers,
        count=st.integers(1, 5),
        outage=st.booleans(),
        packages=updates,
        wrong=host_troubles,
        away=st.one_of(st.none(), st.none(), numbers),
        file=files,
        troubles=troubles,
        fault=faults,
    )
    def patch(self, first: int, count: int, outage: bool, packages, wrong, away, file, troubles, fault) -> None:
        """`away`: a host that is down before."""
        hosts = list(self.world.hosts.values())
        start = first % len(hosts)
        chosen = tuple(host.name for host in hosts[start : start + count])
        if away is not None and hosts[away % len(hosts)].name not in chosen:
            self.happen(("crash", away))
        self.patches += 1
        offer = Offer(str(self.patches), packages["kernel"])
        for place, host in enumerate(hosts):
            trouble = next((one for number, one in wrong.items() if number % len(hosts) == place), None)
            host.software.coming = Coming(
                trouble, packages["asks"], packages["boots"] and (offer.kernel or packages["asks"])
            )
        self.run(
            lambda desk: desk.patch(chosen, offer, reboot=packages["boots"], allow_outage=outage),
            troubles,
            fault,
            file,
        )

    def no_second_reboot(self) -> None:
        for host in self.world.hosts.values():
            patched = sum(one.reboots + one.back for one in host.software.folders.values())
            assert host.reboots <= self.due[host.name] + patched, f"{host.name} was rebooted twice for one rollout"

    @rule(file=files, gone=st.booleans(), troubles=troubles, fault=faults)
    def move(self, file: str, gone: bool, troubles, fault) -> None:
        """An operator can abandon a rollout that is open on a lost control host; no operator does so here."""
        self.run(lambda desk: desk.move(former_gone=gone and not self.open), troubles, fault, file)

    @precondition(lambda self: self.open)
    @rule(troubles=troubles, fault=faults)
    def resume(self, troubles, fault) -> None:
        self.run(Desk.resume, troubles, fault)

    @precondition(lambda self: self.open)
    @rule(troubles=troubles, fault=faults)
    def abort(self, troubles, fault) -> None:
        self.run(Desk.abort, troubles, fault)

    # Other events.

    @rule(accident=accidents)
    def happen(self, accident: tuple[str, int]) -> None:
        what, number = accident
        world, hosts, replicas = self.world, list(self.world.hosts.values()), self.world.fleet.replicas
        gates = list(world.gates.values())
        host, replica = hosts[number % len(hosts)], replicas[number % len(replicas)].address
        if what == "crash" and host.up:
            host.crash()
        elif what == "boot" and not host.up:
            host.boot(world.now)
        elif what in ("cut", "join"):
            host.cut = what == "cut"
        elif what in ("close gates", "open gates"):
            world.gates_open = what == "open gates"
        elif what in ("full", "room"):
            host.full = what == "full"
        elif what in ("cut gateway", "join gateway"):
            gates[number % len(gates)].reachable = what == "join gateway"
        elif not all(gate.sends for gate in gates) and "drain" in what:
            return
        elif what in ("drain", "drain unrecorded") and replica not in world.manual:
            Desk(world, "carla").drain(replica, recorded=what == "drain")
        elif what == "undrain" and replica in world.manual:
            Desk(world, "carla").undrain(replica)
        elif what == "ask" and replica in world.healthy(replica.partition("/")[2].partition("@")[0]):
            world.requests[replica] = world.now + number
        elif what == "answer":
            world.requests.pop(replica, None)
        elif what in ("lose gateway", "find gateway"):
            gates[number % len(gates)].lost = what == "lose gateway"
        elif what == "reload":
            gates[number % len(gates)].reload()
        elif what == "kept":
            world.kept(gates[number % len(gates)], replica.partition("/")[2].partition("@")[0])
        elif what == "suspend":
            self.suspend(number)

    def suspend(self, number: int) -> None:
        """The current operator's laptop sleeps; a colleague may take the lease meanwhile."""
        process = self.world.process
        process.asleep = process.slept = True
        for _ in range(7 + number % 6):
            self.world.advance(10.0)
        if number % 2:
            # The other process may be killed; this one isn't.
            with suppress(RackwrightError, Killed):
                self.overtake(self.desk("carla"), number)
        process.asleep = False

    def overtake(self, desk: Desk, number: int) -> None:
        if desk.opened is None:
            try:
                desk.restart(self.world.fleet.replicas[:1])
            finally:
                # A restart that fails leaves it drained, too.
                self.left |= self.drained_by_runs
        elif number % 4 == 1:
            desk.resume()
        else:
            desk.abort()

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.world.advance(seconds)

    # What must hold whenever no command runs; the world itself checks at every tick.

    @invariant()
    def settled(self) -> None:
        if not hasattr(self, "world"):
            return
        opened = [control.host for control in self.world.controls if open_rollout(control.journal)]
        assert opened in ([], [self.control]), f"rollouts are open on {opened}, not {self.control} alone"
        self.no_second_reboot()
        if self.open:
            return
        self.world.watch.settled()
        locked = versions(Desk(self.world).lock)
        assert (self.world.told, self.world.applied) == (locked, locked)
        for host in self.world.hosts.values():
            for engine in host.engines.values():
                model = engine.address.partition("/")[2].partition("@")[0]
                assert version_of(engine.unit) == locked[model], (
                    f"{engine.address} on {host.name}, no rollout is open"
                )
                assert engine.started in (None, engine.unit), f"{engine.address} was not restarted"
        assert self.world.shared() == set(), "a canary has a share, and no rollout is open"
        assert self.drained_by_runs <= self.left, "left drained by a rollout that is closed"
        self.left &= self.drained_by_runs
        told = {entry.subject for control in self.world.controls for entry in control.journal}
        assert self.left <= told, "left drained without a line in the journal"

    # Helpers.

    @property
    def open(self) -> bool:
        return hasattr(self, "world") and self.desk("").opened is not None

    @property
    def control(self) -> str:
        """The control host."""
        return self.world.control_host

    def desk(self, who: str) -> Desk:
        return Desk(self.world, who, self.control)

    @property
    def drained_by_runs(self) -> set[str]:
        gates = self.world.gates.values()
        return set().union(*(gate.drained for gate in gates)) - self.world.manual

    def some_models(self, number: int) -> list[str]:
        models = list(dict.fromkeys(one.model for one in self.world.fleet.replicas))
        chosen = [model for place, model in enumerate(models) if number >> place & 1]
        return chosen or models[:1]

    def fault(self, number: int, version: str, behaviour: Behaviour) -> None:
        replica = self.world.fleet.replicas[number % len(self.world.fleet.replicas)]
        for engine in self.world.engines(replica):
            engine.faults[version] = behaviour

    def run(
        self,
        act: Callable[[Desk], None],
        troubles: dict[int, tuple[str, int]],
        fault: Fault | None,
        file: str = "",
        *,
        reads: float = 0.0,
    ) -> None:
        """Act by a fleet file whose control host is `file`, or the current control host if `file` is no gateway."""

        def trouble(tick: int) -> Callable[[], None]:
            return lambda: self.happen(troubles[tick]) if tick in troubles else None

        self.begun += 1
        self.world.surprises = [trouble(tick) for tick in range(max(troubles, default=-1) + 1)]
        try:
            with failing(self.world, fault):
                act(Desk(self.world, control=file if file in self.world.gates else self.control, reads=reads))
        except (Killed, RackwrightError):
            pass
        finally:
            self.world.surprises, self.world.gates_open = [], True
        for _ in range(7):
            self.world.advance(10.0)

    def mend(self) -> None:
        """Repair everything, except what a rollout left."""
        for host in self.world.hosts.values():
            host.cut, host.full, host.loads = False, False, True
            host.software.mend()
            for engine in host.engines.values():
                engine.faults.clear()
                engine.broken = None
            if not host.up:
                host.boot(self.world.now)
        for gate in self.world.gates.values():
            gate.reachable, gate.lost = True, False
        for address in sorted(self.world.manual):
            Desk(self.world, "carla").undrain(address)
        self.world.requests.clear()
        self.world.gates_open = True
        # A lease that could not be released expires.
        for _ in range(7):
            self.world.advance(10.0)

    def finish(self) -> None:
        desk = self.desk("ben")
        told: list[str] = []
        for way in (Desk.resume, Desk.abort, abort_without_traffic):
            if desk.opened:
                try:
                    way(desk)
                except RackwrightError as error:
                    told.append(str(error))
        assert desk.opened is None, f"it stays open though all is well: {told}"
        self.settled()
