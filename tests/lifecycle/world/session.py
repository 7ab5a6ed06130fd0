"""The tool's procedures on a simulated fleet, and the few places where the simulation is patched in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from rackwright.deploys.gpu import gpu
from rackwright.errors import RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock, ModelLock, model_digest
from rackwright.fleet.lock_file import NEXT
from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle import restart
from rackwright.lifecycle.canary import choose, trial
from rackwright.lifecycle.canary import keeper as keep
from rackwright.lifecycle.control import arrival
from rackwright.lifecycle.control import move as move_control
from rackwright.lifecycle.control import moving as moves
from rackwright.lifecycle.patch.asked import Asked as AskedPatch
from rackwright.lifecycle.patch.run import patch_run, patches_of
from rackwright.lifecycle.reboot import boot_identity
from rackwright.lifecycle.reboot import procedure as reboots
from rackwright.lifecycle.reboot import resume as resume_reboots
from rackwright.lifecycle.rollout import engine_changes as engines
from rackwright.lifecycle.session import control_host as control
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.remember import Compared
from rackwright.lifecycle.session.replica_units import hosts_of, unit_of
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.session.under_lease import leased
from rackwright.lifecycle.update import procedure as update
from rackwright.lifecycle.update import promote, resume
from rackwright.lifecycle.update import unfinished as open_rollout
from rackwright.roles.replica.settings import Settings as ReplicaUnit
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.roles.replica.unit import render
from rackwright.run import Run
from rackwright.state import lease_session as holding
from rackwright.state.control import ControlRecord, parse_control
from rackwright.state.journal import Entry, Event
from rackwright.state.journal import open_rollout as opened_in
from rackwright.state.operator import Operator
from rackwright.state.rollout import AnyRollout, HostRollout, read_rollout
from rackwright.stopping import Stopping
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.lifecycle.world.engines import NEW_DRIVER, Behaviour, Engine, Host, version_of
from tests.lifecycle.world.gateways import SimulatedGateways
from tests.lifecycle.world.patching import Offer, offering, patch_seams
from tests.lifecycle.world.prompt import answer_late
from tests.lifecycle.world.remote import SimulatedRemote
from tests.lifecycle.world.store import MemoryStore, moment
from tests.lifecycle.world.traffic import SimulatedLogs, verdict_on
from tests.lifecycle.world.world import Gate, Process, World

OLD, NEW = "v1", "v2"
WHY = "580 is installed, module 570 runs"
ROLLOUT = {"max_unavailable": 1, "drain_timeout": "5s", "soak": "12s", "start_timeout": "5s"}


class Quiet:
    """A Console that prints nothing. The operator agrees, but not to what --yes would refuse."""

    def stage(self, what: str, stages: Sequence[str]) -> None: ...

    def say(self, text: str) -> None: ...

    def heard(self) -> None: ...

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None: ...

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        if refusal:
            raise refusal


@dataclass(frozen=True)
class SimulatedSession:
    """The procedures use it like lifecycle/session/session.py's Session."""

    world: World
    process: Process
    lock: Lock
    fleet: Fleet
    """The operator's own fleet file."""
    drivers: bool = True
    """Whether hosts have a driver, whose kernel the lock decides. Those that are patched have none."""

    @property
    def hosts(self) -> dict[str, Any]:
        found = models_of(self.world.fleet, self.lock)
        for one in found.values() if not self.drivers else ():
            one.driver = None
        return found

    @property
    def remote(self) -> SimulatedRemote:
        return SimulatedRemote(self.world, self.process)

    @property
    def gateways(self) -> SimulatedGateways:
        return SimulatedGateways(self.world, self.process, self.fleet.gateways)

    @property
    def store(self) -> MemoryStore:
        return MemoryStore(self.world, self.process, self.fleet.control[0])

    @property
    def operator(self) -> Operator:
        return Operator(self.process.who, "laptop")

    @property
    def runner(self) -> SimpleNamespace:
        return SimpleNamespace(apply=self._apply)

    def _apply(
        self, deploy: object, hosts: Mapping[str, Any], *, only: object = (), stopping: Stopping = lambda: False
    ) -> Run:
        """Replaces pyinfra: it installs weights and runtimes, or writes the versions to the gateways."""
        for name in hosts:
            self.process.breathe()
            self.world.advance(1.0)
            if stopping():
                return Run(interrupted=True)
            self.world.refuse_unleased(self.process, f"{name}: an operation")
        if deploy is gpu:
            for name in hosts:
                self.world.reach(name, self.process).installed = NEW_DRIVER
            return Run()
        gates = [self.world.gates[name] for name in hosts if name in self.world.gates]
        lost = {gate.name: "unreachable" for gate in gates if not gate.sends}
        lost |= {name: "unreachable" for name in hosts if name not in self.world.gates and not self._reached(name)}
        if gates and not lost:
            for gate in gates:
                gate.reload()
            self.world.told = versions(self.lock)
        return Run(unreachable=lost)

    def _reached(self, name: str) -> bool:
        return self.world.hosts[name].reachable


def make_world(
    folder: Path,
    placed: Mapping[str, list[str]],
    *,
    members: Mapping[str, tuple[str, ...]] | None = None,
    gateways: int = 1,
    faults: Mapping[str, Mapping[str, Behaviour]] | None = None,
    canary: Canary | None = None,
    hosts: int = 1,
    **rollout: object,
) -> World:
    """Given host → replicas, all on OLD, each model with this canary; `members` by HOST/MODEL@N; `faults` by that and
    version."""
    gates = [f"gate{number}" for number in range(1, gateways + 1)]
    joined = {name: ["joined@1"] for names in (members or {}).values() for name in names if name not in placed}
    names = {**placed, **joined}
    made = make_fleet(
        folder / "site.yml", replicas=names, rollout={**ROLLOUT, **rollout}, patch={"max_unavailable": hosts}
    )
    file = made.file.model_copy(update={"gateway": made.file.gateway.model_copy(update={"on": tuple(gates)})})
    file = file.model_copy(
        update={
            "routed": {name: model.model_copy(update={"canary": canary}) for name, model in file.models.items()},
            "hosts": {**file.hosts, **dict.fromkeys(gates, file.hosts["gate1"])},
            "control": ("gate1",),
        }
    )
    replicas = tuple(
        replace(one, members=(members or {}).get(one.address, ())) for one in made.replicas if one.host in placed
    )
    (folder / "site.yml").write_text("fleet: acme\n")
    fleet = replace(made, file=file, replicas=replicas)
    lock = make_lock(fleet, {})
    write_lock(fleet.sibling("lock"), lock)
    record = ControlRecord(hosts=("gate1",), number=1, since=moment(0), who="anna").model_dump_json()
    world = World(fleet, {name: Host(name) for name in names}, {name: Gate(name, control=record) for name in gates})
    for name, model in models_of(fleet, lock).items():
        for unit in model.replicas:
            replica = next(one for one in replicas if one.name == unit.name and name in one.hosts)
            engine = Engine(replica.address, render(unit), render(unit))
            engine.faults.update((faults or {}).get(replica.address, {}))
            world.hosts[name].engines[unit.name] = engine
    world.told = world.applied = versions(lock)
    world.look()
    return world


def make_lock(fleet: Fleet, asked: Mapping[str, str]) -> Lock:
    """Return a lock with these versions by model; OLD for models that aren't listed."""
    models = {}
    for model in dict.fromkeys(one.model for one in fleet.replicas):
        version = asked.get(model, OLD)
        files = (File(path="m.gguf", size=1, sha256=f"{int(version[1:]):064x}", url="https://hub/m"),)
        models[model] = ModelLock(source="hf:acme/tiny", revision=version, digest=model_digest(files), files=files)
    ports = {host: {} for host in fleet.file.hosts}
    return Lock(fleet="acme", models=models, runtimes={}, ports=ports)


def write_lock(path: Path, lock: Lock) -> None:
    """Write it like lock_file does, but as JSON: that takes a tenth of the time."""
    path.write_text(lock.model_dump_json())


def versions(lock: Lock) -> dict[str, str]:
    return {name: str(model.revision) for name, model in lock.models.items()}


def models_of(fleet: Fleet, lock: Lock) -> dict[str, Any]:
    """Replace HostSpec: return the part of it that the procedures read."""
    asked = versions(lock)
    hosts = dict.fromkeys(host for one in fleet.replicas for host in one.hosts)
    models = {
        host: SimpleNamespace(
            p2p=None,
            model_store=None,
            gateway=None,
            backup=None,
            driver=SimpleNamespace(version=NEW_DRIVER, kernel=None),
            replicas=tuple(_unit(one, asked[one.model]) for one in fleet.parts_on(host)),
            probes=tuple(SimpleNamespace(replica=one.name) for one in fleet.replicas_on(host)),
            host_proxy=SimpleNamespace(replicas=tuple(_proxied(one) for one in fleet.replicas_on(host))),
        )
        for host in hosts
    }
    return models | {name: SimpleNamespace(gateway=True, backup=None, replicas=()) for name in fleet.gateways}


def _proxied(replica: Replica) -> Any:
    return SimpleNamespace(replica=replica.name, backend=f"engine.{replica.model}.{replica.number}")


@cache
def _unit(replica: Replica, version: str) -> ReplicaUnit:
    return ReplicaUnit(
        name=replica.name,
        model=replica.model,
        user=f"rw-{replica.model}",
        command=("engine", "--version", version),
        readable=(),
        mount="/data/models",
        stop_seconds=5,
    )


@dataclass
class Desk:
    """An operator who works on the fleet. Errors that the tool raises are passed on."""

    world: World
    who: str = "anna"
    control: str = "gate1"
    """The control host in their fleet file."""
    reads: float = 0.0
    """Seconds that they take before they answer a question."""

    @property
    def lock(self) -> Lock:
        """NAME.lock."""
        return Lock.model_validate_json(self.world.fleet.sibling("lock").read_text())

    @property
    def opened(self) -> Entry | None:
        return opened_in(self.world.control_of(self.control).journal)

    def update(self, asked: Mapping[str, str], *, allow_outage: bool = False, canary: bool = True) -> None:
        """Update from NAME.lock to these versions."""
        before = self.lock
        after = make_lock(self.world.fleet, {**versions(before), **asked})
        write_lock(self.world.fleet.sibling(NEXT), after)
        session = self._session(after, allow_outage=allow_outage)
        with self._at_work(session):
            update.update(
                session,
                update.Asked("update", before, tuple(asked), canary=canary),
                Quiet(),
                lambda _: self._asked(session.process, tuple(asked) if allow_outage else ()),
            )

    def reboot(self, hosts: tuple[str, ...], *, allow_outage: bool = False) -> None:
        """Do what `apply --reboot` does once the operator has agreed."""
        session = self._session(self.lock, allow_outage=allow_outage)
        outages = tuple(session.fleet.file.models) if allow_outage else ()
        with (
            self._at_work(session),
            leased(session, "apply", Quiet()) as lease_session,
        ):
            rollout = reboots.open_reboots(
                session, lease_session, "apply --reboot", dict.fromkeys(hosts, WHY), outages
            )
            reboots.complete(reboots.Work(session, lease_session, rollout, Quiet(), lambda: False))

    def patch(self, hosts: tuple[str, ...], offer: Offer, *, reboot: bool = True, allow_outage: bool = False) -> None:
        """Do what `patch run -l HOST…` does."""
        session = self._session(self.lock, allow_outage=allow_outage, drivers=False)
        asked = AskedPatch(hosts=hosts, reboot=reboot, allow_outage=allow_outage)
        with self._at_work(session), offering(offer):
            patch_run(session, asked, Quiet(), lambda _: None)

    def resume(self, *, canary: bool = True, unattended: Agreements | None = None) -> None:
        rollout = self._rollout()
        if isinstance(rollout, HostRollout):
            session, changes_of = self._over_hosts(rollout)
            with self._at_work(session):
                resume_reboots.resume(session, rollout, Quiet(), changes_of)
            return
        rollout = rollout if canary else rollout.model_copy(update={"canaries": ()})
        allowed = rollout.outages or (unattended.outages if unattended else ())
        session = self._session(rollout.after, allow_outage=bool(allowed))
        with self._at_work(session):
            resume.resume(session, rollout, Quiet(), unattended=unattended)

    def abort(self, lock: Lock | None = None) -> None:
        """`lock`: a lock that leads to other unit texts, like another fleet file."""
        rollout = self._rollout()
        if isinstance(rollout, HostRollout):
            session, changes_of = self._over_hosts(rollout)
            self.world.watch.gives_up(rollout)
            with self._at_work(session):
                resume_reboots.abort(session, rollout, Quiet(), "asked for", changes_of)
            return
        session = self._session(lock or rollout.after, allow_outage=bool(rollout.outages))
        with self._at_work(session):
            resume.abort(session, rollout, Quiet(), "asked for")

    def _over_hosts(self, rollout: HostRollout) -> tuple[SimulatedSession, reboots.ChangesOf]:
        patches = rollout.procedure == "patch"
        session = self._session(self.lock, allow_outage=bool(rollout.outages), drivers=not patches)
        return session, patches_of if patches else reboots.reboots_of

    def leave(self) -> None:
        """Do what `rollout abort --leave` does: close the rollout; every replica keeps its version."""
        rollout = self._rollout()
        session = self._session(self.lock)
        with self._at_work(session), leased(session, "abort", Quiet(), rollout=True) as lease_session:
            lease_session.write(Event.CLOSED, rollout.id, detail="unchanged")

    def restart(self, replicas: tuple[Replica, ...]) -> None:
        session = self._session(self.lock)
        with self._at_work(session):
            restart.restart(session, replicas, Quiet())

    def drain(self, address: str, *, recorded: bool = True) -> None:
        """Drain manually at the gateways; without a record it is like a drain at HAProxy's socket."""
        self._gateways().drain(address, who=self.who, reason="looks odd")
        if not recorded:
            for gate in self.world.gates.values():
                gate.records.pop(address)
        self.world.manual.add(address)

    def undrain(self, address: str) -> None:
        self.world.manual.discard(address)
        self.world.watch.undone.add(address)
        self._gateways().undrain(address)

    def _gateways(self) -> SimulatedGateways:
        return SimulatedGateways(self.world, Process(self.who, manual=True), self.world.fleet.gateways)

    def _rollout(self) -> AnyRollout:
        opened = self.opened
        if opened is None:
            raise UsageError("no rollout is open")
        return read_rollout(MemoryStore(self.world, Process(self.who), self.control), opened.rollout)

    def _session(self, lock: Lock, *, allow_outage: bool = False, drivers: bool = True) -> SimulatedSession:
        process = Process(self.who, allow_outage=allow_outage)
        return SimulatedSession(self.world, process, lock, self._fleet(), drivers)

    def _fleet(self) -> Fleet:
        fleet = self.world.fleet
        return replace(fleet, file=fleet.file.model_copy(update={"control": (self.control,)}))

    def _asked(self, process: Process, outages: tuple[str, ...]) -> tuple[str, ...]:
        if self.reads:
            answer_late(self.world, process, self.reads)
        return outages

    def move(self, *, former_gone: bool = False) -> None:
        """Do what `lease move` does."""
        session = self._session(self.lock)
        with self._at_work(session), moving(session):
            move_control.move_control(session.fleet, Quiet(), former_gone=former_gone)

    @contextmanager
    def _at_work(self, session: SimulatedSession) -> Iterator[None]:
        try:
            with self.world.at_work(session.process), seams(self.world), patch_seams(self.world):
                yield
        finally:
            assert session.process.timeline is None or session.process.timeline.over, "work goes on after its command"
            session.process.timeline = None
            session.process.ended = True
            assert not self.world.unleased, self.world.unleased


@contextmanager
def moving(session: SimulatedSession) -> Iterator[None]:
    """Let `move_control` reach the simulated control hosts."""
    world, process = session.world, session.process

    def store_on(_: object, hosts: Iterable[str], *, several: bool) -> MemoryStore:
        assert not several
        return MemoryStore(world, process, *hosts)

    with (
        patch("rackwright.remote.Remote", lambda targets: session.remote),
        patch.object(moves, "store_on", store_on),
        patch.object(arrival, "copy_files", lambda *_: process.breathe()),
        patch.object(arrival, "read_applied", lambda _: None),
        patch.object(move_control, "operator_of", lambda *_: session.operator),
    ):
        yield


@contextmanager
def seams(world: World) -> Iterator[None]:
    """The simulated fleet answers in place of real hosts, pyinfra, git and time.

    Access logs have the simulated clients' requests, and the verdict on them is a simple one.
    `survey` asks each host for its replicas only. `prove`, `answers`, `through_gateways` and a probe's look
    use the simulated engines' state. `whole_weights` takes two seconds. `plan` finds no other changes. `compared`
    finds that the operator's files are those that were applied. `remember` records the lock. `checkout` knows no
    commit. Locks are written as JSON.
    """

    def remembered(session: SimulatedSession, *_: object, **__: object) -> None:
        session.process.breathe()
        world.applied = versions(session.lock)

    replaced = (
        patch.object(holding, "now", lambda: world.now),
        patch.object(control, "FileStore", lambda shell: MemoryStore(world, world.process, shell.name)),
        patch.object(engines, "SystemClock", world.clock),
        patch.object(boot_identity, "time", SimpleNamespace(monotonic=world.clock().now, sleep=world.clock().sleep)),
        patch.object(choose, "SystemClock", world.clock),
        patch.object(choose, "AccessLogs", SimulatedLogs),
        patch.object(trial, "verdict_on", verdict_on),
        patch.object(keep, "write_verdict", lambda shell, told: world.verdicts.append(told)),
        patch.object(engines, "prove", proved),
        patch.object(engines, "answers", answered),
        patch.object(engines, "through_gateways", through_gateways),
        patch.object(engines, "look_command", lambda probe: f"probe {probe.replica}"),
        patch.object(engines, "state_of", str),
        patch.object(engines, "whole_weights", whole_weights),
        patch.object(open_rollout, "survey", surveyed),
        patch.object(promote, "survey", surveyed),
        patch.object(promote, "remember", remembered),
        patch.object(promote, "write_lock", write_lock),
        patch.object(update, "plan", planned),
        patch.object(update, "compared", lambda _: Compared(same=True)),
        patch.object(update, "checkout", lambda _: SimpleNamespace(commit=None)),
    )
    with ExitStack() as patched:
        for seam in replaced:
            patched.enter_context(seam)
        yield


def surveyed(session: SimulatedSession) -> Survey:
    hosts: dict[str, Any] = {}
    unreachable: dict[str, str] = {}
    for name in session.hosts:
        if gate := session.world.gates.get(name):
            if gate.sends:
                hosts[name] = SimpleNamespace(
                    replicas={}, drains=dict(gate.records), control=parse_control(gate.control, name)
                )
            else:
                unreachable[name] = "unreachable"
        elif session.world.hosts[name].reachable:
            told = parse_replicas(session.remote.connection(name).run(REPLICAS_COMMAND).stdout)
            hosts[name] = SimpleNamespace(replicas={state.replica: state for state in told}, drains={}, control=None)
        else:
            unreachable[name] = "unreachable"
    return Survey(hosts, unreachable)


def proved(session: SimulatedSession, replica: Replica, **_: object) -> str | None:
    for host in hosts_of(session, replica):
        started = session.world.reach(host, session.process).engines[replica.name].started
        if started != render(unit_of(session, replica, host)):
            return f"{host}: not started on the unit that it should run on"
    return answered(session, replica)


def answered(session: SimulatedSession, replica: Replica) -> str | None:
    session.world.reach(replica.host, session.process)
    return None if session.world.up(replica) else "no answer came back"


def through_gateways(session: SimulatedSession, replica: Replica) -> str | None:
    state = session.gateways.servers()[replica.address]
    return None if session.world.up(replica) and state.up else "503"


def whole_weights(session: SimulatedSession, replica: Replica) -> str | None:
    for host in hosts_of(session, replica):
        session.world.reach(host, session.process)
    session.world.clock().sleep(2.0)
    return None


def planned(session: SimulatedSession) -> SimpleNamespace:
    found = surveyed(session)
    return SimpleNamespace(run=Run(unreachable=dict(found.unreachable)), surveyed=found)


def running(world: World) -> dict[str, str | None]:
    """Return the version that each engine runs, by HOST MODEL@N."""
    return {
        f"{host.name} {name}": version_of(engine.started) if engine.started else None
        for host in world.hosts.values()
        for name, engine in host.engines.items()
    }
