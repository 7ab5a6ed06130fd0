"""A rollout that reboots hosts: how it opens, goes on, and ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import HostError, HostsFailed, LeasedError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.reboot.procedure import complete, look, serve_as_they_run
from rackwright.lifecycle.rollout.change import Paused
from rackwright.run import Run
from rackwright.state.journal import Event
from rackwright.state.rollout import HostRollout, read_rollout
from tests.lifecycle.reboot.bench import Bench, is_open, journal, lose_lease, phases
from tests.lifecycle.reboot.machines import HOSTS, KERNEL, NEW, NEXT_KERNEL, OLD, WHY, Session, session

ONE, TWO, THREE = (f"{name}/assistant@1" for name in HOSTS)
SOON = {"rollout": {"soak": "10s", "drain_timeout": "5s", "start_timeout": "5s"}}


@pytest.fixture
def made(tmp_path: Path) -> Session:
    return session(tmp_path, **SOON)


def boots(made: Session) -> list[int]:
    return [made.machines[name].boots for name in HOSTS]


# It opens.


def test_an_open_one_has_each_host_as_it_was(made: Session, bench: Bench) -> None:
    made.machines["gpu2"].boots = 4
    work = bench.opened(made, "gpu1", "gpu2", outages=("assistant",))
    kept = read_rollout(made.store, work.rollout.id)
    assert kept == work.rollout
    assert isinstance(kept, HostRollout)
    assert (kept.procedure, kept.what, kept.who, kept.outages) == (
        "reboot",
        "apply --reboot",
        "ada@desk",
        ("assistant",),
    )
    assert [(part.name, part.why, part.boot, part.replicas, part.idle) for part in kept.hosts] == [
        ("gpu1", WHY, "boot-0\n1.2\n3", (ONE,), ()),
        ("gpu2", WHY, "boot-4\n1.2\n3", (TWO,), ()),
    ]
    assert [(entry.event, entry.rollout, entry.detail) for entry in journal(made)] == [
        (Event.OPENED, work.rollout.id, "apply --reboot")
    ]


def test_only_engines_that_run_and_that_gateways_know_are_drained(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, [("gpu1", f"{model}@1") for model in ("down", "manual", "new", "stopped", "well")])
    made.machines["gpu1"].engines = ("down@1", "manual@1", "new@1", "well@1")
    made.machines["gpu1"].stopped = ("stopped@1",)
    made.unknown = {"gpu1/new@1"}
    made.traffic.up.discard("gpu1/down@1")
    made.traffic.manual.add("gpu1/manual@1")
    (part,) = bench.opened(made, "gpu1").rollout.hosts
    assert part.replicas == ("gpu1/down@1", "gpu1/manual@1", "gpu1/well@1")
    assert part.idle == ("gpu1/down@1",)


def test_where_no_engine_runs_no_gateway_is_asked(made: Session, bench: Bench) -> None:
    made.gateways_answer = False
    made.machines["gpu1"].engines = ()
    (part,) = bench.opened(made, "gpu1").rollout.hosts
    assert part.replicas == ()
    with pytest.raises(HostError, match="asking for states failed"):
        bench.opened(made, "gpu2")


def test_a_host_that_should_have_no_engine_is_not_asked_for_one(made: Session, bench: Bench) -> None:
    made.gateways_answer = False
    made.hosts["gate1"].driver = made.hosts["gpu1"].driver
    made.machines["gate1"].engines = ("other@1",)
    work = bench.opened(made, "gate1")
    assert work.rollout.hosts[0].replicas == ()


def test_where_nothing_can_be_drained_no_gateway_is_asked_how_far_it_is(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, control=["gate1"], gateways=("gate1",))
    made.machines["gpu1"].engines = ()
    work = bench.opened(made, "gpu1")
    made.gateways_answer = False
    assert [(one.rebooted, one.drained, one.unknown) for one in look(work)] == [(False, False, None)]


@pytest.mark.parametrize(("other", "ends"), [(0, False), (1, True)])
def test_a_replica_that_spans_hosts_stays_drained_until_the_last_of_them_is_done(
    made: Session, bench: Bench, *, other: int, ends: bool
) -> None:
    """The first host has been changed; the second one, where the replica has its other half, maybe not yet."""
    work = bench.opened(made, "gpu1", "gpu2")
    bench.acted(work, "gpu1", "gpu2")
    shared = work.rollout.hosts[0].replicas
    halves = tuple(part.model_copy(update={"replicas": shared}) for part in work.rollout.hosts)
    made.traffic.drained = set(shared)
    made.machines["gpu1"].boots, made.machines["gpu2"].boots = 1, other
    seen = look(replace(work, rollout=work.rollout.model_copy(update={"hosts": halves})))
    assert [(one.drained, one.done) for one in seen] == (
        [(True, False)] * 2 if ends else [(False, True), (True, False)]
    )


def test_a_host_that_can_not_be_asked_opens_nothing(made: Session, bench: Bench) -> None:
    made.machines["gpu2"].gone = True
    with pytest.raises(HostError, match="gpu2: unreachable"):
        bench.opened(made, "gpu1", "gpu2")
    assert journal(made) == []


def test_hosts_that_do_not_serve_come_first_and_gateways_and_control_hosts_last(tmp_path: Path, bench: Bench) -> None:
    names = ("gpu1", "gpu2", "gpu3", "gpu4", "gpu5")
    made = session(tmp_path, [(name, "assistant@1") for name in names], gateways=("gate1", "gpu2"), control=["gpu1"])
    made.traffic.up -= {"gpu4/assistant@1", "gpu2/assistant@1"}
    made.machines["gpu5"].engines = ()
    rollout = bench.opened(made, *names).rollout
    assert [part.name for part in rollout.hosts] == ["gpu4", "gpu5", "gpu3", "gpu2", "gpu1"]


# It goes on.


def test_hosts_reboot_one_after_another_and_each_comes_back_with_its_driver(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1", "gpu2")
    assert complete(work) == ("gpu1", "gpu2") == tuple(bench.changed)
    assert boots(made) == [1, 1, 0]
    assert made.machines["gpu1"].events == ["hold", "install", "reboot", "commit"]
    steps = ("gate", "drain", "act", "prove", "commit", "undrain", "soak", "done")
    assert phases(made) == [f"{name} {step}" for name in ("gpu1", "gpu2") for step in steps]
    assert bench.acts == [
        (("gpu1",), f"reboot: {WHY}"),
        (("gpu1", "gate1"), "apply --reboot: gpu1"),
        (("gpu2",), f"reboot: {WHY}"),
        (("gpu2", "gate1"), "apply --reboot: gpu2"),
    ]
    assert (journal(made)[-1].event, journal(made)[-1].detail) == (Event.CLOSED, "done")
    assert made.traffic.drained == set()


def test_several_hosts_reboot_at_the_same_time_where_the_fleet_file_allows_it(tmp_path: Path, bench: Bench) -> None:
    sections = {"patch": {"max_unavailable": 2}, "rollout": {**SOON["rollout"], "max_unavailable": 2}}
    made = session(tmp_path, **sections)
    complete(bench.opened(made, *HOSTS))
    lines = phases(made)
    assert lines.index("gpu1 done") < lines.index("gpu2 gate")
    assert lines.index("gpu3 act") < lines.index("gpu2 prove")
    assert boots(made) == [1, 1, 1]


def test_what_could_not_be_reached_counts_as_an_unavailable_host(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1")
    made.machines["gate1"].cut = True
    with pytest.raises(Paused, match="2 hosts would be unavailable: gate1, gpu1"):
        complete(work)
    assert boots(made) == [0, 0, 0]


FAILING = {
    "comes back without": ({"after": "none"}, f"gpu1: was rebooted, but {NEW} is installed, no module runs"),
    "comes back with the old one": ({"after": OLD}, f"gpu1: was rebooted, but {NEW} is installed, module {OLD} runs"),
    "stays away": ({"stays_away": True}, "gpu1: did not come back within 1800 s of its reboot"),
}


@pytest.mark.parametrize("case", FAILING)
def test_the_first_that_does_not_come_back_right_ends_it(made: Session, bench: Bench, case: str) -> None:
    changes, why = FAILING[case]
    host = made.machines["gpu1"] = replace(made.machines["gpu1"], **changes)  # type: ignore[arg-type]
    with pytest.raises((ProofError, HostError), match=why):
        complete(bench.opened(made, *HOSTS))
    assert boots(made) == [1, 0, 0]
    assert bench.changed == []
    assert is_open(made) is host.gone


def test_a_host_that_stays_away_keeps_it_open_and_drained(made: Session, bench: Bench) -> None:
    made.machines["gpu1"].stays_away = True
    work = bench.opened(made, *HOSTS)
    with pytest.raises(HostError) as caught:
        complete(work)
    (problem,) = caught.value.problems
    assert problem.should is not None
    assert problem.should.endswith(f"; the rollout {work.rollout.id} stays open")
    assert problem.next == "look at its console; then rackwright rollout resume, or rackwright rollout abort"
    assert made.traffic.drained == {ONE}


def test_a_host_that_serves_as_before_closes_it(made: Session, bench: Bench) -> None:
    """It was reverted: nothing is left to do."""
    made.machines["gpu2"].after = OLD
    with pytest.raises(ProofError) as caught:
        complete(bench.opened(made, *HOSTS))
    assert caught.value.problems[0].should == "it was reverted, and its engines answer; done: gpu1"
    last = journal(made)[-1]
    assert (last.event, last.detail[:48]) == (Event.CLOSED, f"ended, done: gpu1: was rebooted, but {NEW} is"[:48])
    assert made.traffic.drained == set()
    assert bench.changed == ["gpu1"]


def test_a_host_whose_new_kernel_is_not_proven_runs_the_old_one_again(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL, **SOON)
    host = made.machines["gpu1"]
    assert host.script

    class OnTheOldOne(dict[str, str]):
        def get(self, address: str, default: object = None) -> str | None:  # type: ignore[override]
            return "HTTP 500" if host.script and host.script.running == NEXT_KERNEL else None

    made.answers = OnTheOldOne()
    with pytest.raises(ProofError, match="HTTP 500; it was reverted, and its engines answer"):
        complete(bench.opened(made, "gpu1"))
    assert host.events == ["hold", "install", "arm", "reboot", "disarm", "reboot"]
    assert (host.script.running, is_open(made)) == (KERNEL, False)


def test_a_host_that_answers_neither_way_stays_drained_and_keeps_it_open(made: Session, bench: Bench) -> None:
    made.answers[ONE] = "HTTP 500"
    with pytest.raises(ProofError, match=r"it could not be reverted and stays drained: .* the rollout .* stays open"):
        complete(bench.opened(made, *HOSTS))
    assert (boots(made), is_open(made), made.traffic.drained) == ([1, 0, 0], True, {ONE})


def test_a_drain_that_does_not_end_changes_nothing_and_closes_it(made: Session, bench: Bench) -> None:
    made.traffic.requests[ONE] = [2]
    with pytest.raises(Paused, match=r"gpu1: 2 requests are still in flight after 5 s(.|\n)*; done: none"):
        complete(bench.opened(made, *HOSTS))
    assert (boots(made), is_open(made), made.traffic.drained) == ([0, 0, 0], False, set())


def test_a_driver_that_can_not_be_installed_changes_nothing_and_closes_it(made: Session, bench: Bench) -> None:
    bench.installs["gpu1"] = Run(unreachable={"gpu1": "timed out"})
    with pytest.raises(HostsFailed, match="its driver could not be installed"):
        complete(bench.opened(made, *HOSTS))
    assert (boots(made), is_open(made), made.traffic.drained) == ([0, 0, 0], False, set())


def test_an_interruption_ends_with_the_host_that_is_being_changed(made: Session, bench: Bench) -> None:
    bench.installed = lambda name: setattr(bench, "stopping", lambda: True)
    with pytest.raises(Paused, match=r"interrupted; done: gpu1; not started: gpu2, gpu3; done: gpu1"):
        complete(bench.opened(made, *HOSTS))
    assert (boots(made), is_open(made)) == ([1, 0, 0], False)


def test_without_the_lease_nothing_is_rebooted(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1")
    lose_lease(made)
    with pytest.raises(LeasedError):
        complete(work)
    assert (boots(made), is_open(made)) == ([0, 0, 0], True)


def test_while_it_is_not_known_what_is_drained_it_stays_open(made: Session, bench: Bench) -> None:
    made.gateways_answer = False
    work = bench.opened(replace(made, gateways_answer=True), "gpu1")
    with pytest.raises(HostError, match=f"asking for states failed; the rollout {work.rollout.id} stays open"):
        complete(bench.again(work, made))


def test_while_its_end_can_not_be_written_it_stays_open_and_the_failure_is_told(made: Session, bench: Bench) -> None:
    made.traffic.requests[ONE] = [2]
    work = bench.opened(made, "gpu1")
    undrain = made.traffic.undrain

    def lost(replica: Replica) -> None:
        undrain(replica)
        made.store.shell.gone = True  # type: ignore[attr-defined]

    made.traffic.undrain = lost  # type: ignore[method-assign]
    with pytest.raises(HostError, match=f"gate1: unreachable; the rollout {work.rollout.id} stays open"):
        complete(work)


# It is resumed.


def test_a_host_that_has_rebooted_is_not_rebooted_again(made: Session, bench: Bench) -> None:
    work = bench.opened(made, *HOSTS)
    bench.acted(work, "gpu1", "gpu2")
    host = made.machines["gpu2"]
    host.boots, host.loaded = 1, NEW
    made.traffic.drained.add(TWO)
    host = made.machines["gpu1"]
    host.boots, host.loaded = 1, NEW
    assert [(one.rebooted, one.drained, one.done) for one in look(work)] == [
        (True, False, True),
        (True, True, False),
        (False, False, False),
    ]
    assert complete(bench.again(work, made)) == ("gpu2", "gpu3")
    assert boots(made) == [1, 1, 1]
    assert made.machines["gpu1"].events == []
    assert made.machines["gpu2"].events == ["commit"]
    assert made.traffic.drained == set()


def test_a_manual_drain_is_none_of_the_rollouts(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1")
    bench.acted(work, "gpu1")
    made.machines["gpu1"].boots = 1
    made.traffic.manual.add(ONE)
    assert look(work)[0].done


@pytest.mark.parametrize("manual", [False, True])
def test_a_gateway_that_a_run_took_out_of_service_is_drained(tmp_path: Path, bench: Bench, manual: bool) -> None:
    made = session(tmp_path, gateways=("gate1", "gpu1"), **SOON)
    work = bench.opened(made, "gpu1")
    bench.acted(work, "gpu1")
    made.machines["gpu1"].boots = 1
    (made.traffic.manual if manual else made.traffic.drained).add(ONE)
    (made.traffic.manual.add if manual else made.traffic.left.append)("gpu1")
    made.traffic.drained.discard(ONE)
    (one,) = look(work)
    assert one.drained is not manual


def test_a_gateway_is_taken_out_of_service_and_back(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, gateways=("gate1", "gpu1"), **SOON)
    seen: list[list[str]] = []
    bench.installed = lambda name: seen.append([*made.traffic.left])
    assert complete(bench.opened(made, "gpu2", "gpu1")) == ("gpu2", "gpu1")
    assert seen == [[], ["gpu1"]]
    assert made.traffic.left == []


def test_a_gateway_that_is_not_set_up_yet_is_not_taken_out_of_service(tmp_path: Path, bench: Bench) -> None:
    """The first apply of a new fleet may have to reboot the host of its only gateway."""
    made = session(tmp_path, gateways=("gpu1",), **SOON)
    made.machines["gpu1"].gateway, made.machines["gpu1"].engines = False, ()
    seen: list[list[str]] = []
    bench.installed = lambda name: seen.append([*made.traffic.left])
    assert complete(bench.opened(made, "gpu1")) == ("gpu1",)
    assert (seen, boots(made)[0]) == ([[]], 1)


def test_nothing_is_rebooted_while_one_is_unknown(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1", "gpu2")
    made.machines["gpu2"].cut = True
    with pytest.raises(
        Paused, match=r"the state of these hosts isn't known; the rollout .* stays open\n  - gpu2: unreachable"
    ):
        complete(bench.again(work, made))
    assert (boots(made), is_open(made)) == ([0, 0, 0], True)


# It is put back.


def test_hosts_that_are_put_back_serve_as_they_run(made: Session, bench: Bench) -> None:
    work = bench.opened(made, *HOSTS)
    bench.acted(work, "gpu1")
    made.machines["gpu1"].boots = 1
    made.traffic.drained.add(TWO)
    serve_as_they_run(bench.again(work, made), "not tonight")
    assert boots(made) == [1, 0, 0]
    assert made.traffic.drained == set()
    assert [line for line in phases(made) if not line.startswith("gpu2")] == ["gpu1 act"]
    assert (journal(made)[-1].event, journal(made)[-1].detail) == (Event.CLOSED, "aborted: not tonight")


def test_a_host_whose_engines_do_not_answer_is_not_put_back(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1")
    made.traffic.drained.add(ONE)
    made.answers[ONE] = "HTTP 503"
    with pytest.raises(ProofError, match="not proven after 5 s: gpu1/assistant@1: HTTP 503"):
        serve_as_they_run(bench.again(work, made), "asked for")
    assert (is_open(made), made.traffic.drained) == (True, {ONE})


def test_a_host_that_is_unknown_is_not_put_back_but_the_others_are(made: Session, bench: Bench) -> None:
    work = bench.opened(made, "gpu1", "gpu2")
    made.traffic.drained |= {ONE, TWO}
    made.machines["gpu1"].cut = True
    made.traffic.up.discard(ONE)
    with pytest.raises(Paused, match=r"the state of these hosts isn't known\n  - gpu1: unreachable"):
        serve_as_they_run(bench.again(work, made), "asked for")
    assert (is_open(made), made.traffic.drained) == (True, {ONE})
