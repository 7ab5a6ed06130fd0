"""Whole updates with a canary on a simulated fleet: a PASS continues, a FAIL reverts, anything else waits."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from rackwright.errors import ExitCode, FleetError, HostError, ProofError, RackwrightError
from rackwright.fleet.reading.text import refuse
from rackwright.fleet.sections.canary import Canary, Thresholds
from rackwright.lifecycle.rollout.change import Paused, Undecided
from rackwright.lifecycle.update import resume
from tests.lifecycle.world.engines import Behaviour
from tests.lifecycle.world.session import Desk, Quiet, make_world, running, versions
from tests.lifecycle.world.world import World

ONE, TWO, THREE = (f"gpu{number}/assistant@1" for number in (1, 2, 3))
RULES = Canary(share=(5, 25), min_duration="10s", min_requests=20, max_duration="200s")


def make(
    folder: Path, *, gateways: int = 1, rules: Canary = RULES, size: int = 3, budget: int = 1, **faults: Behaviour
) -> World:
    hosts = {f"gpu{number}": ["assistant@1"] for number in range(1, size + 1)}
    by_address = {f"{host}/assistant@1": {"v2": behaviour} for host, behaviour in faults.items()}
    return make_world(folder, hosts, gateways=gateways, faults=by_address, canary=rules, max_unavailable=budget)


def update(world: World, **keywords: bool) -> None:
    Desk(world).update({"assistant": "v2"}, **keywords)


def phases(world: World) -> list[str]:
    return [f"{entry.subject} {entry.phase}" for entry in world.control.journal if entry.phase]


def shares(world: World) -> list[str]:
    """Return the shares that were set at the gateways, without renewals."""
    told = [change.partition(": ")[2] for change in world.changes if " share " in change]
    return list(dict.fromkeys(told))


def on(world: World) -> set[str | None]:
    return set(running(world).values())


@pytest.mark.parametrize("gateways", [1, 2])
def test_what_passes_goes_on_to_all(tmp_path: Path, gateways: int) -> None:
    world = make(tmp_path, gateways=gateways)
    update(world)
    assert on(world) == {"v2"}
    assert shares(world)[: gateways * 2] == [
        f"gate{number}: share {percent} {ONE}" for percent in (5, 25) for number in range(1, gateways + 1)
    ]
    assert world.shared() == set()
    of_one = [line.partition(" ")[2] for line in phases(world) if line.startswith(ONE)]
    assert of_one == ["gate", "drain", "act", "prove", "canary", "canary", "undrain", "soak", "done"]
    assert not [line for line in phases(world) if line.startswith((TWO, THREE)) and line.endswith("canary")]
    assert [(told.outcome, told.share) for told in world.verdicts] == [("open", 5), ("open", 25), ("PASS", 25)]


def test_each_step_lasts_until_it_has_its_time_and_its_requests(tmp_path: Path) -> None:
    world = make(tmp_path)
    seen: list[tuple[float, float]] = []

    def look() -> None:
        if share := world.gates["gate1"].share("assistant", world.now):
            seen.append((share.percent, world.now))

    world.surprises = [look] * 3000
    update(world)
    first, second = ([now for percent, now in seen if percent == one] for one in RULES.share)
    # 20 requests at 5 or 25 % of 4 per second; a canary gets at least one request between two looks.
    assert 30 < first[-1] - first[0] <= 100
    assert 10 <= second[-1] - second[0] < first[-1] - first[0]


@pytest.mark.parametrize("size", [2, 3])
def test_what_fails_goes_back_by_itself(tmp_path: Path, size: int) -> None:
    world = make(tmp_path, size=size, gpu1=Behaviour.FAILS_CLIENTS)
    with pytest.raises(ProofError, match="FAIL: most of its requests fail, the others' don't") as error:
        update(world)
    assert error.value.exit_code == ExitCode.NOT_PROVEN
    assert error.value.problems[0].next == "rackwright model verdict assistant"
    assert on(world) == {"v1"}
    assert Desk(world).opened is None
    assert versions(Desk(world).lock) == {"assistant": "v1"}
    assert world.shared() == set()
    assert {line.partition(" ")[0] for line in phases(world)} == {ONE}
    assert [told.outcome for told in world.verdicts] == ["FAIL"]


def test_a_replica_that_ran_the_new_version_before_is_not_undrained_when_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, a replica that an abort left drained."""
    world = make(tmp_path)
    said: list[str] = []
    monkeypatch.setattr(Quiet, "say", lambda _, text: said.append(text))
    undecided(world)
    Desk(world).leave()
    assert running(world)["gpu1 assistant@1"] == "v2"
    world.hosts["gpu1"].engines["assistant@1"].faults["v2"] = Behaviour.FAILS_CLIENTS
    with pytest.raises(ProofError, match="FAIL: most of its requests fail") as error:
        update(world)
    assert world.healthy("assistant") == {TWO, THREE}
    assert f"{ONE} ran the new version before the rollout and stays drained; rackwright apply" in str(error.value)
    assert said[-2].startswith(f"{ONE}: ran the new version before the rollout and stays drained; rackwright apply")
    assert Desk(world).opened is None


def test_the_share_ends_before_the_canary_is_reverted(tmp_path: Path) -> None:
    world = make(tmp_path, gpu1=Behaviour.FAILS_CLIENTS)
    with pytest.raises(ProofError):
        update(world)
    names = [change.partition(": ")[2] for change in world.changes]
    assert names.index("gate1: end of share assistant") < names.index("gpu1: put back assistant@1")


def test_what_nobody_can_tell_pauses_with_the_old_version_at_full_weight(tmp_path: Path) -> None:
    world = make(tmp_path)
    world.busy = 0.05
    with pytest.raises(Undecided, match=r"INCONCLUSIVE: the canary had \d+ requests in 200 s, and needs 20") as error:
        update(world)
    assert error.value.exit_code == ExitCode.NOT_PROVEN
    assert "stays open" in str(error.value)
    assert error.value.problems[0].next == (
        "rackwright model verdict assistant; then rackwright rollout resume, or rackwright rollout abort"
    )
    assert world.shared() == set()
    assert world.healthy("assistant") == {TWO, THREE}
    assert running(world)["gpu1 assistant@1"] == "v2"
    assert [told.outcome for told in world.verdicts] == ["INCONCLUSIVE"]


def undecided(world: World) -> None:
    world.busy = 0.05
    with pytest.raises(Undecided):
        update(world)
    world.busy = 1.0


def test_what_is_undecided_is_tried_again_by_who_resumes(tmp_path: Path) -> None:
    world = make(tmp_path)
    undecided(world)
    Desk(world, "ben").resume()
    assert on(world) == {"v2"}
    assert world.verdicts[-1].outcome == "PASS"


def test_who_lacks_the_golden_set_resumes_nothing(tmp_path: Path) -> None:
    """Without the golden set, the resumed rollout would fail, and everything would be reverted."""
    world = make(tmp_path)
    undecided(world)
    before = len(world.changes)
    with (
        patch.object(resume, "golden_set_of", lambda fleet, model: refuse(f"{model}.jsonl", "no such file")),
        pytest.raises(FleetError, match=r"assistant\.jsonl: no such file"),
    ):
        Desk(world, "ben").resume()
    assert world.changes[before:] == []
    assert Desk(world).opened is not None


def test_what_is_undecided_goes_back_by_who_aborts(tmp_path: Path) -> None:
    world = make(tmp_path)
    undecided(world)
    Desk(world, "ben").abort()
    assert on(world) == {"v1"}
    assert world.healthy("assistant") == {ONE, TWO, THREE}


def test_who_resumes_without_a_canary_needs_no_verdict(tmp_path: Path) -> None:
    world = make(tmp_path)
    undecided(world)
    world.busy = 0.0
    Desk(world, "ben").resume(canary=False)
    assert on(world) == {"v2"}
    assert [told.outcome for told in world.verdicts] == ["INCONCLUSIVE"]


def test_who_resumes_goes_on_with_the_step_that_was_reached(tmp_path: Path) -> None:
    world = make(tmp_path)
    at(world, lambda: any("share 25" in change for change in world.changes), lambda: setattr(world, "busy", 0.0))
    with pytest.raises(Undecided):
        update(world)
    world.busy, before = 1.0, len(world.changes)
    Desk(world, "ben").resume()
    assert on(world) == {"v2"}
    assert "share 5" not in " ".join(world.changes[before:])


def at(world: World, when: Callable[[], bool], event: Callable[[], None]) -> None:
    """Run `event` at the first tick at which `when` is true."""
    told: list[bool] = []

    def look() -> None:
        if not told and when():
            told.append(True)
            event()

    world.surprises = [look] * 3000


def has_share(world: World) -> Callable[[], bool]:
    return lambda: bool(world.shared())


def test_a_canary_that_falls_out_fails(tmp_path: Path) -> None:
    world = make(tmp_path, gpu1=Behaviour.DIES)
    with pytest.raises(ProofError, match="fell out of the gateways while it was the canary"):
        update(world)
    assert on(world) == {"v1"}
    assert world.shared() == set()


def test_a_canary_that_is_drained_by_hand_gets_nothing_any_more(tmp_path: Path) -> None:
    world = make(tmp_path)
    at(world, has_share(world), lambda: Desk(world, "carla").drain(ONE))
    with pytest.raises(Undecided, match="an operator drained the canary manually"):
        update(world)
    assert world.shared() == set()


def test_without_another_to_compare_it_with_it_pauses(tmp_path: Path) -> None:
    world = make(tmp_path, size=2)
    at(world, has_share(world), lambda: world.hosts["gpu2"].crash())
    with pytest.raises(Undecided, match="there is nothing to compare with"):
        update(world)
    assert world.shared() == set()


def test_nothing_is_drained_where_no_other_serves_with_the_version_before(tmp_path: Path) -> None:
    world = make(tmp_path, size=2)
    Desk(world, "carla").drain(TWO)
    world.manual.discard(TWO)
    for gate in world.gates.values():
        gate.drained.discard(ONE)
    with pytest.raises(Paused, match="a canary needs another replica that serves"):
        update(world, allow_outage=True)
    assert on(world) == {"v1"}
    assert Desk(world).opened is None


def test_a_gateway_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    world = make(tmp_path, gateways=2)
    ticks = {"left": 10}

    def cut() -> None:
        world.gates["gate2"].reachable = not 0 < ticks["left"] < 10
        if world.shared():
            ticks["left"] -= 1

    world.surprises = [cut] * 3000
    update(world)
    assert on(world) == {"v2"}


def test_a_gateway_that_stays_away_ends_it(tmp_path: Path) -> None:
    world = make(
        tmp_path, gateways=2, rules=Canary(share=(10,), min_duration="400s", min_requests=20, max_duration="800s")
    )
    at(world, has_share(world), lambda: setattr(world.gates["gate2"], "reachable", False))
    with pytest.raises((Undecided, HostError), match="gateways can't be asked: gate2: unreachable"):
        update(world)
    # gate1 ended its share; gate2 can't be reached, and its share expires.
    assert "assistant" not in world.gates["gate1"].shares
    for _ in range(16):
        world.advance(10.0)
    assert world.shared() == set()


def test_who_interrupts_leaves_the_canary_drained_and_without_a_share(tmp_path: Path) -> None:
    world = make(tmp_path)
    at(world, has_share(world), lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Paused, match="interrupted; the canary gets no more traffic") as error:
        update(world)
    assert error.value.exit_code == ExitCode.FAILED
    assert world.shared() == set()
    assert world.healthy("assistant") == {TWO, THREE}
    assert Desk(world).opened is not None


def test_without_a_canary_it_goes_as_ever(tmp_path: Path) -> None:
    world = make(tmp_path)
    world.busy = 0.0
    update(world, canary=False)
    assert on(world) == {"v2"}
    assert shares(world) == []


def test_a_manually_drained_replica_is_no_canary(tmp_path: Path) -> None:
    world = make(tmp_path, budget=2)
    Desk(world, "carla").drain(ONE)
    update(world)
    assert on(world) == {"v2"}
    assert {line.rpartition(" ")[2] for line in shares(world) if "share 5" in line} == {TWO}


def test_a_model_with_one_replica_is_refused_before_anything_changes(tmp_path: Path) -> None:
    world = make(tmp_path, size=1)
    with pytest.raises(RackwrightError, match="assistant: has a canary in the fleet file, but only one replica"):
        update(world, allow_outage=True)
    assert world.changes == []
    assert world.control.journal == []


def test_a_share_of_which_no_verdict_could_come_is_refused_before_anything_changes(tmp_path: Path) -> None:
    world = make(tmp_path, rules=Canary(share=(0.5, 1), thresholds=Thresholds(errors="0.02%")))
    with pytest.raises(RackwrightError) as error:
        update(world)
    (told,) = error.value.problems
    assert told.what == (
        "assistant: at 1 %, gateways distinguish 10000 conversations, but the canary's verdict needs at least 26489"
    )
    assert told.should == "the last share should be at least 3 %, or the threshold for errors wider"
    assert world.changes == []
    assert world.control.journal == []


def test_a_share_that_is_not_watched_ends_on_its_own(tmp_path: Path) -> None:
    world = make(tmp_path)

    def sleep() -> None:
        world.process.asleep = True
        for _ in range(7):
            world.advance(10.0)

    at(world, has_share(world), sleep)
    with pytest.raises(RackwrightError):
        update(world)
    for _ in range(31):
        world.advance(10.0)
    assert world.shared() == set()
