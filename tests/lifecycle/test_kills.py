"""A run is killed, or loses its control host, in the middle of a rollout; another operator ends the rollout.

A good update is killed at every moment. The other procedures are killed at a random sample of their moments, which is
the same in each run.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.lock_file import NEXT
from rackwright.fleet.sections.canary import Canary
from rackwright.state.journal import promoting
from tests.lifecycle.world.engines import Behaviour
from tests.lifecycle.world.faults import Fault, counted, failing
from tests.lifecycle.world.session import OLD, Desk, make_world, running, versions
from tests.lifecycle.world.world import Killed, World

NEW = "v2"
SEED = 29
SAMPLE = 20
"""Moments of each procedure except a good update."""
CANARY = Canary(share=(10, 50), min_duration="2s", min_requests=20, max_duration="60s")


def nothing(desk: Desk) -> None:
    """Start with the initial state."""


def update(desk: Desk) -> None:
    desk.update({"assistant": NEW})


def half_done(desk: Desk) -> None:
    """A run is killed when the second engine has just taken its new unit."""
    with failing(desk.world, Fault(6, change=True)), pytest.raises(Killed):
        update(desk)
    assert "take" in desk.world.changes[-1]
    later(desk.world)


def half_rolled_back(desk: Desk) -> None:
    """All replicas run NEW; then a run is killed halfway through the rollback to OLD."""
    update(desk)
    with failing(desk.world, Fault(6, change=True)), pytest.raises(Killed):
        desk.update({"assistant": OLD})
    later(desk.world)


def half_tried(desk: Desk) -> None:
    """A run is killed when the canary has just got its second share."""
    with failing(desk.world, Fault(5, change=True)), pytest.raises(Killed):
        update(desk)
    assert "share 50" in desk.world.changes[-1]
    later(desk.world)


@dataclass(frozen=True)
class Case:
    run: Callable[[Desk], None]
    """The procedure that is killed."""
    before: Callable[[Desk], None] = nothing
    refuses: str | None = None
    """The replica whose new engine won't start."""
    fails: str | None = None
    """The replica whose new engine fails clients, as a canary shows."""
    canary: Canary | None = None
    manual: str | None = None


CASES = {
    "a good update": Case(update),
    "an update that the first refuses": Case(update, refuses="gpu1/assistant@1"),
    "an update that the second refuses": Case(update, refuses="gpu2/assistant@1"),
    "an abort": Case(Desk.abort, before=half_done),
    "a resume": Case(Desk.resume, before=half_done),
    "a resume that the second refuses": Case(Desk.resume, before=half_done, refuses="gpu2/assistant@1"),
    "a rollback, resumed": Case(Desk.resume, before=half_rolled_back),
    "a rollback, aborted": Case(Desk.abort, before=half_rolled_back),
    "an update with one drained by hand": Case(update, manual="gpu2/assistant@1"),
    "an update with a canary": Case(update, canary=CANARY),
    "an update whose canary fails": Case(update, canary=CANARY, fails="gpu1/assistant@1"),
    "a resume with a canary": Case(Desk.resume, canary=CANARY, before=half_tried),
    "an abort of a canary": Case(Desk.abort, canary=CANARY, before=half_tried),
}


def world_of(folder: Path, case: Case, size: int) -> World:
    faults = {case.refuses: {NEW: Behaviour.REFUSES}} if case.refuses else {}
    faults |= {case.fails: {NEW: Behaviour.FAILS_CLIENTS}} if case.fails else {}
    hosts = {f"gpu{number}": ["assistant@1"] for number in range(1, size + 1)}
    world = make_world(folder, hosts, faults=faults, canary=case.canary, max_unavailable=size - 1)
    case.before(Desk(world))
    if case.manual:
        Desk(world, "carla").drain(case.manual)
    return world


class Beginning:
    """Makes copies of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = world.fleet.sibling("lock").read_bytes()

    def world(self) -> World:
        self._world.fleet.sibling("lock").write_bytes(self._lock)
        self._world.fleet.sibling(NEXT).unlink(missing_ok=True)
        return deepcopy(self._world, {id(self._world.fleet): self._world.fleet})


def later(world: World) -> None:
    """Advance the time until the lease of the killed run has expired."""
    for _ in range(7):
        world.advance(10.0)


def ended(act: Callable[[], None]) -> bool:
    """Return whether the act succeeded; an error that the tool reports is acceptable here."""
    try:
        act()
    except (Killed, RackwrightError):
        return False
    return True


def starts(world: World) -> dict[str, int]:
    return {engine.address: engine.starts for host in world.hosts.values() for engine in host.engines.values()}


def assert_settled(world: World) -> str:
    """Check that everything is in order and no rollout is open; return the version that runs."""
    desk = Desk(world)
    (version,) = versions(desk.lock).values()
    assert desk.opened is None
    assert set(running(world).values()) == {version}
    assert (world.told, world.applied) == ({"assistant": version}, {"assistant": version})
    for gate in world.gates.values():
        assert gate.drained == world.manual
        assert set(gate.records) == world.manual
    assert world.shared() == set()
    assert world.healthy("assistant") == {one.address for one in world.fleet.replicas} - world.manual
    return version


def end(world: World, way: Callable[[Desk], None]) -> None:
    """Another operator ends the open rollout, and tries again if the control host failed."""
    desk: Desk = Desk(world, "ben")
    told: RackwrightError | None = None
    for _ in range(3):
        later(world)
        if desk.opened is None:
            return
        try:
            way(desk)
        except RackwrightError as error:
            told = error
    if told and desk.opened:
        raise told


def sampled(name: str) -> bool:
    return name != "a good update"


# With one of two drained manually, the other one would be the last.
KILLED = [(name, size) for name, case in CASES.items() for size in ((3,) if case.manual else (2, 3))]


def title(name: str, size: int) -> str:
    moments = f"{SAMPLE} moments of seed {SEED}" if sampled(name) else "every moment"
    return f"{name}, {size} replicas, {moments}"


@pytest.mark.parametrize(("name", "size"), KILLED, ids=[title(*killed) for killed in KILLED])
def test_whenever_it_is_cut_short_another_operator_can_end_it(tmp_path: Path, name: str, size: int) -> None:
    case = CASES[name]
    begin = Beginning(world_of(tmp_path, case, size))
    world = begin.world()
    with counted(world) as faults:
        ended(lambda: case.run(Desk(world)))
    expected, needed = assert_settled(world), starts(world)
    if sampled(name):
        faults = Random(f"{SEED} {name} {size}").sample(faults, SAMPLE)  # noqa: S311 (no secret)
    for fault in faults:
        for way in (Desk.resume, Desk.abort)[: 1 + fault.dies]:
            try:
                killed(begin.world(), case, fault, way, expected, needed)
            except (AssertionError, RackwrightError) as error:
                raise AssertionError(f"{fault}, then {way.__name__}: {error}") from error


def assert_no_more(counted: dict[str, int], most: dict[str, int]) -> None:
    assert {name for name, count in counted.items() if count > most[name]} == set(), (counted, most)


def killed(
    world: World, case: Case, fault: Fault, way: Callable[[Desk], None], expected: str, needed: dict[str, int]
) -> None:
    old = versions(Desk(world).lock)["assistant"]
    with failing(world, fault):
        ended(lambda: case.run(Desk(world)))
    opened, at_end = Desk(world).opened, starts(world)
    promoted = opened is not None and promoting(world.control.journal, opened.rollout)
    if promoted and way is Desk.abort:
        with pytest.raises(RackwrightError, match="this rollout can't be reverted"):
            end(world, way)
        way = Desk.resume
    end(world, way)
    version = assert_settled(world)
    if opened is None or not fault.dies:
        return
    assert not world.fleet.sibling(NEXT).exists()
    if way is Desk.abort:
        assert version == old
        assert_no_more(starts(world), {name: count + 2 for name, count in at_end.items()})
    elif case.run is not Desk.abort:
        assert version == expected
        # A refused change is tried again: the operator who resumes may have fixed the cause.
        again = at_end if case.refuses or case.fails else dict.fromkeys(at_end, 1)
        if case.refuses:
            # The others may have been changed beside it, and were reverted.
            again = {name: max(count, 2) for name, count in again.items()}
        assert_no_more(starts(world), {name: count + again[name] for name, count in needed.items()})
