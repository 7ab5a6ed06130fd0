"""How a rollout continues and ends, on a simulated fleet; test_kills.py tests rollouts that are cut short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostsFailed, LeasedError, ProofError, RackwrightError
from rackwright.fleet.lock_file import NEXT
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.update import procedure
from tests.lifecycle.session.test_agreements import allowing
from tests.lifecycle.world.engines import Behaviour, Engine, version_of
from tests.lifecycle.world.faults import Fault, failing
from tests.lifecycle.world.session import Desk, Quiet, make_lock, make_world, running, versions
from tests.lifecycle.world.world import Killed, World

ONE, TWO = "gpu1/assistant@1", "gpu2/assistant@1"
TOOK_ONE = Fault(2, change=True)
"""Killed when the first engine has taken its unit; the drain was the change before it."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, {"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]})


def update(world: World, fault: Fault | None = None, **keywords: bool) -> None:
    with failing(world, fault):
        Desk(world).update({"assistant": "v2"}, **keywords)


def at_tick(world: World, number: int, event: Callable[[], None]) -> None:
    world.surprises = [*[lambda: None] * number, event]


def killed(world: World, fault: Fault) -> None:
    with pytest.raises(Killed):
        update(world, fault)
    world.advance(70.0)


def on(world: World) -> set[str | None]:
    return set(running(world).values())


def test_a_good_one_ends_with_the_new_lock(world: World) -> None:
    update(world)
    assert on(world) == {"v2"}
    assert versions(Desk(world).lock) == world.told == world.applied == {"assistant": "v2"}
    assert not world.fleet.sibling(NEXT).exists()


def test_a_replica_that_is_down_from_the_beginning_comes_first(world: World) -> None:
    """If the healthy replica went first, the model would have none."""
    for engine in world.engines(world.replica(TWO)):
        engine.started, engine.broken = None, engine.unit
    world.look()
    update(world)
    assert on(world) == {"v2"}


def test_what_could_not_be_written_is_not_reverted_to_an_earlier_version(world: World) -> None:
    update(world)
    world.hosts["gpu1"].full = True
    with pytest.raises(RackwrightError, match="No space left"):
        Desk(world).update({"assistant": "v3"})
    assert on(world) == {"v2"}
    assert Desk(world).opened is None


@pytest.mark.parametrize("act", ["take", "restart"])
def test_an_act_that_was_given_up_and_comes_after_its_revert_changes_nothing(world: World, act: str) -> None:
    host = world.hosts["gpu1"]
    host.slow = act
    with pytest.raises(RackwrightError, match="a command didn't finish within 60 s"):
        update(world)
    assert host.late
    assert on(world) == {"v1"}
    assert {version_of(engine.unit) for one in world.hosts.values() for engine in one.engines.values()} == {"v1"}
    assert host.engines["assistant@1"].starts == 1
    assert Desk(world).opened is None


def test_a_pause_before_anything_was_changed_closes_it(world: World) -> None:
    world.requests[ONE] = world.now + 1000
    with pytest.raises(Paused, match="1 requests are still in flight after 5 s"):
        update(world)
    assert Desk(world).opened is None
    assert not world.fleet.sibling(NEXT).exists()


def test_a_pause_leaves_it_open_while_it_is_not_known_whether_anything_was_changed(world: World) -> None:
    world.requests[ONE] = world.now + 1000

    def cut() -> None:
        world.hosts["gpu2"].cut = True

    at_tick(world, 16, cut)
    with pytest.raises(Paused, match=r"1 requests are still in flight after 5 s(.|\n)*stays open"):
        update(world)
    assert Desk(world).opened


def test_the_changed_replicas_are_returned_and_the_end_is_printed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Quiet, "say", lambda _, text: said.append(text))
    changed: list[str] = []
    real = procedure.complete

    def complete(work: Any) -> Any:
        done = real(work)
        changed.extend(one.address for one in done)
        return done

    monkeypatch.setattr(procedure, "complete", complete)
    update(world)
    assert sorted(changed) == [ONE, TWO]
    assert said[-1] == "update: done"


def test_a_pause_after_something_was_changed_leaves_it_open(world: World) -> None:
    world.requests[TWO] = world.now + 1000
    with pytest.raises(Paused, match=r"the rollout .* stays open: wait for them, or raise rollout.drain_timeout"):
        update(world)
    world.requests.clear()
    Desk(world, "ben").resume()
    assert on(world) == {"v2"}


def test_a_host_that_is_lost_meanwhile_pauses_it_until_the_host_is_back(world: World) -> None:
    killed(world, TOOK_ONE)
    world.hosts["gpu2"].cut = True
    with pytest.raises(
        Paused,
        match=r"it isn't known what these replicas run.*the rollout.*\n  - gpu2/assistant@1: gpu2: unreachable",
    ):
        Desk(world, "ben").resume()
    with pytest.raises(Paused, match="it isn't known what these replicas run"):
        Desk(world, "ben").abort()
    assert Desk(world).opened
    world.hosts["gpu2"].cut = False
    world.look()
    Desk(world, "ben").abort()
    assert on(world) == {"v1"}


def breaks_for_good(world: World, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine of gpu2 serves until the rollout is opened, and afterwards answers with no version."""
    engine, open_it = world.hosts["gpu2"].engines["assistant@1"], procedure._open

    def opened(*words: Any, **options: Any) -> Any:
        engine.faults.update(dict.fromkeys(("v1", "v2"), Behaviour.MUTE))
        return open_it(*words, **options)

    monkeypatch.setattr(procedure, "_open", opened)
    return engine


def test_what_can_not_be_reverted_leaves_the_rollout_open_and_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = breaks_for_good(world, monkeypatch)
    with pytest.raises(ProofError, match=r"could not be reverted and stays drained.*not all replicas were reverted"):
        update(world)
    assert world.gates["gate1"].drained == {TWO}
    assert any(entry.detail.startswith("could not be reverted: ") for entry in world.control.journal)
    engine.faults.clear()
    Desk(world, "ben").resume()
    assert on(world) == {"v2"}


def test_an_engine_that_died_unwatched_is_not_promoted(world: World) -> None:
    """The run was killed in the last soak; when an operator resumes it, the engine no longer answers."""
    world.hosts["gpu2"].engines["assistant@1"].faults["v2"] = Behaviour.DIES
    killed(world, Fault(8, change=True))
    with pytest.raises(ProofError, match="every replica runs the previous version"):
        Desk(world, "ben").resume()
    assert on(world) == {"v1"}
    assert versions(Desk(world).lock) == {"assistant": "v1"}


def test_a_resume_starts_a_dead_engine_again(world: World) -> None:
    """The run was killed in the last soak. The engine's start record still exists and names the new unit."""
    killed(world, Fault(8, change=True))
    engine = world.hosts["gpu2"].engines["assistant@1"]
    engine.dead, starts = True, engine.starts
    world.look()
    Desk(world, "ben").resume()
    assert engine.starts == starts + 1
    assert on(world) == {"v2"}
    assert versions(Desk(world).lock) == {"assistant": "v2"}


def test_once_the_lock_is_being_promoted_there_is_no_way_back(world: World) -> None:
    world.gates["gate1"].reachable = True
    at_end = [event.phase for event in world.control.journal]
    assert at_end == []
    written = 2 + 2 * 7 + 1
    killed(world, Fault(written))
    with pytest.raises(RackwrightError, match="this rollout can't be reverted"):
        Desk(world, "ben").abort()
    Desk(world, "ben").resume()
    assert on(world) == {"v2"}
    assert Desk(world).opened is None


def test_a_gateway_that_can_not_be_told_leaves_the_old_lock(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]}, gateways=2)

    def cut(number: int, written: bool) -> None:
        if number == 2 + 2 * 7 + 1:
            world.gates["gate2"].reachable = False

    world.control.fault = cut
    with pytest.raises(HostsFailed, match="could not publish the new version to: gate2"):
        Desk(world).update({"assistant": "v2"})
    assert versions(Desk(world).lock) == {"assistant": "v1"}
    world.gates["gate2"].reachable = True
    Desk(world, "ben").resume()
    assert versions(Desk(world).lock) == {"assistant": "v2"}


def test_a_lease_that_ends_during_an_automatic_revert_ends_it(world: World) -> None:
    world.hosts["gpu1"].engines["assistant@1"].faults["v2"] = Behaviour.REFUSES

    def lose(number: int, written: bool) -> None:
        if world.control.journal and world.control.journal[-1].detail.startswith("reverted: the previous version"):
            world.control.token += 1

    world.control.fault = lose
    world.hosts["gpu2"].engines["assistant@1"].faults["v2"] = Behaviour.REFUSES
    with pytest.raises(LeasedError):
        Desk(world).update({"assistant": "v2"})
    assert Desk(world).opened


def test_a_replica_over_two_hosts_is_reverted_on_both(tmp_path: Path) -> None:
    """The run was killed when one host had taken the new unit; the other host keeps a unit of an earlier change."""
    placed = {"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]}
    world = make_world(tmp_path, placed, members={ONE: ("gpu1", "gpu3")})
    update(world)
    with failing(world, TOOK_ONE), pytest.raises(Killed):
        Desk(world).update({"assistant": "v3"})
    world.advance(70.0)
    Desk(world, "ben").abort()
    assert on(world) == {"v2"}
    assert world.healthy("assistant") == {ONE, TWO}


def test_one_that_was_dead_from_the_beginning_does_not_keep_it_open(world: World) -> None:
    """It answers with no version: it is undrained as it was, and the rollout doesn't wait for it."""
    for engine in world.engines(world.replica(TWO)):
        engine.faults.update(dict.fromkeys(("v1", "v2"), Behaviour.REFUSES))
        engine.started, engine.broken = None, engine.unit
    world.look()
    with pytest.raises(ProofError, match="every replica runs the previous version"):
        update(world)
    assert not Desk(world).opened
    assert world.gates["gate1"].drained == set()


def test_an_abort_that_can_not_end_says_that_it_can_be_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks_for_good(world, monkeypatch)
    with pytest.raises(ProofError, match="stays open"):
        update(world)
    with pytest.raises(ProofError, match=r"stays open\n  next: .*; or rackwright rollout abort --leave"):
        Desk(world).abort()
    assert Desk(world).opened


def test_an_abort_reverts_with_another_fleet_file_too(world: World) -> None:
    """In that file the engines have other settings: the rollout's own record tells what they run."""
    killed(world, TOOK_ONE)
    Desk(world, "ben").abort(make_lock(world.fleet, {"assistant": "v9"}))
    assert on(world) == {"v1"}


def test_what_ran_the_new_version_already_is_not_reverted(tmp_path: Path) -> None:
    """Of two models one already runs its new version, and the other fails."""
    world = make_world(tmp_path, {"gpu1": ["chat@1", "code@1"], "gpu2": ["chat@1", "code@1"]})
    Desk(world).update({"chat": "v2"})
    world.hosts["gpu1"].engines["code@1"].faults["v2"] = Behaviour.REFUSES
    with pytest.raises(ProofError, match="every replica runs the previous version"):
        Desk(world).update({"chat": "v2", "code": "v2"})
    assert running(world) == {"gpu1 chat@1": "v2", "gpu2 chat@1": "v2", "gpu1 code@1": "v1", "gpu2 code@1": "v1"}


def test_a_replica_that_ran_the_new_version_already_and_fails_is_not_reverted(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"gpu1": ["chat@1", "code@1"], "gpu2": ["chat@1", "code@1"]})
    Desk(world).update({"chat": "v2"})
    engine = world.hosts["gpu1"].engines["chat@1"]
    engine.faults["v2"], engine.started, engine.broken = Behaviour.REFUSES, None, engine.unit
    world.look()
    with pytest.raises(ProofError, match="every replica runs the previous version"):
        Desk(world).update({"chat": "v2", "code": "v2"})
    assert "v2" in engine.unit


def test_a_gateway_that_is_lost_with_a_drain_leaves_it_open(world: World) -> None:
    """No command could see that the replica is still drained there."""

    def cut() -> None:
        world.gates["gate1"].reachable = False

    at_tick(world, 1, cut)
    world.requests[ONE] = world.now + 4
    with pytest.raises(RackwrightError, match=r"stays open: .*\n  - gpu1/assistant@1: gate1: unreachable\n"):
        update(world)
    world.gates["gate1"].reachable = True
    Desk(world, "ben").abort()
    assert world.gates["gate1"].drained == set()


def test_an_abort_says_which_replicas_its_fleet_file_lacks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A colleague has since removed the host from it."""
    killed(world, TOOK_ONE)
    said: list[str] = []
    monkeypatch.setattr(Quiet, "say", lambda _, text: said.append(text))
    world.fleet = replace(world.fleet, replicas=tuple(one for one in world.fleet.replicas if one.host == "gpu1"))
    Desk(world, "ben").abort()
    assert f"not in this fleet file, so left unchanged: {TWO}" in said


# Nobody watches.


def test_an_unattended_resume_goes_on_while_another_replica_serves(world: World) -> None:
    world.requests[TWO] = world.now + 1000
    with pytest.raises(Paused):
        update(world)
    world.requests.clear()
    unattended = Agreements(world.fleet)
    Desk(world, "nightly").resume(unattended=unattended)
    assert (on(world), unattended.settings) == ({"v2"}, ())


def test_the_last_healthy_replica_stops_an_unattended_resume_before_it_changes_anything(world: World) -> None:
    world.requests[TWO] = world.now + 1000
    with pytest.raises(Paused):
        update(world)
    world.requests.clear()
    Desk(world).drain(ONE)
    before = len(world.control_of("gate1").journal)
    with pytest.raises(RackwrightError, match=r"needs unattended\.allow\.outage \(model assistant\)"):
        Desk(world, "nightly").resume(unattended=Agreements(world.fleet))
    assert len(world.control_of("gate1").journal) == before
    assert Desk(world).opened
    allowed = Agreements(allowing(world.fleet, outage="all"))
    Desk(world, "nightly").resume(unattended=allowed)
    assert allowed.settings == ("unattended.allow.outage (model assistant)",)
