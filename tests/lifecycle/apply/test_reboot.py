"""What an apply does about drivers and kernels that aren't active until a reboot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.lifecycle.apply import carry_out
from rackwright.lifecycle.apply import procedure as apply
from rackwright.lifecycle.apply.reboot import Halted, drivers_act, needs_driver, refuse_swap, swapped
from rackwright.lifecycle.apply.retiring import Retirement
from rackwright.lifecycle.apply.stages import Applied, Options
from rackwright.lifecycle.apply.work import Work
from rackwright.operations.facts.found_driver import FoundDriver
from rackwright.run import Outcome, Run, Step
from rackwright.state.rollout import HostRollout, read_rollout
from tests.lifecycle.reboot.bench import Bench, is_open, journal, lose_lease
from tests.lifecycle.reboot.bench import bench as bench
from tests.lifecycle.reboot.bench import clock as clock
from tests.lifecycle.reboot.machines import HOSTS, KERNEL, NEW, NEXT_KERNEL, OLD, WHY, Console, Session, session

ONE = "gpu1/assistant@1"
SWAP = f"module {OLD} is in use by assistant@1; {NEW} would replace it"
INSTALLED = Run((Step("gpu1", "nvidia_driver", "Install driver", Outcome.CHANGED),))


@pytest.fixture
def made(tmp_path: Path) -> Session:
    return session(tmp_path)


def boots(made: Session) -> list[int]:
    return [made.machines[name].boots for name in HOSTS]


def work(made: Session, bench: Bench, **options: Any) -> Work:
    site: Any = made
    console: Any = bench.console
    return Work(site, bench.lease_session(made), Options(**options), console, lambda: bench.stopping())


def acted(
    made: Session, bench: Bench, later: Mapping[str, str] | None = None, run: Run | None = None, **options: Any
) -> Run:
    return drivers_act(work(made, bench, **options), run or Run(), later or {})


# Without --reboot.


def test_without_reboot_a_host_whose_engines_need_the_driver_goes_no_further(made: Session, bench: Bench) -> None:
    made.machines["gpu2"].loaded = NEW
    made.machines["gpu3"].gone = True
    assert acted(made, bench).unreachable == {
        "gpu1": f"reboot pending: {WHY}; next: rackwright apply --reboot",
        "gpu3": "unreachable",
    }
    assert (boots(made), journal(made)) == ([0, 0, 0], [])


def test_a_host_whose_engines_need_no_gpu_goes_on(made: Session, bench: Bench) -> None:
    for one in made.fleet.replicas:
        object.__setattr__(one, "gpus", 0)
    assert not needs_driver(made, "gpu1")  # type: ignore[arg-type]
    assert acted(made, bench).unreachable == {}


def test_a_kernel_alone_is_booted_only_if_that_is_asked_for(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL)
    for host in made.machines.values():
        host.loaded = NEW
    assert acted(made, bench) == Run()
    assert acted(made, bench, reboot=True) == Run()
    assert boots(made) == [1, 1, 1]


def test_after_an_interruption_nothing_is_asked_or_rebooted(made: Session, bench: Bench) -> None:
    run = Run(interrupted=True)
    assert acted(made, bench, run=run, reboot=True) is run
    assert boots(made) == [0, 0, 0]


# With it.


def test_every_host_that_waits_is_rebooted_as_one_rollout(made: Session, bench: Bench) -> None:
    made.machines["gpu2"].loaded = NEW
    assert acted(made, bench, reboot=True).unreachable == {}
    assert boots(made) == [1, 0, 1]
    rollout = read_rollout(made.store, journal(made)[0].rollout)
    assert isinstance(rollout, HostRollout)
    assert [(part.name, part.why) for part in rollout.hosts] == [("gpu1", WHY), ("gpu3", WHY)]
    assert (rollout.what, rollout.outages) == ("apply --reboot", ())
    assert not is_open(made)


def test_only_hosts_that_rebooted_are_no_longer_said_to_wait(made: Session, bench: Bench) -> None:
    made.machines["gpu2"].loaded = NEW
    noted = Run(
        tuple(
            Step(name, "nvidia_driver", "Load the driver", Outcome.UNCHANGED, note=note)
            for name in ("gpu1", "gpu2")
            for note in (f"reboot pending: {WHY}", "there is no nvidia-persistenced.service")
        )
    )
    notes = {
        (step.host, (step.note or "").partition(":")[0]) for step in acted(made, bench, run=noted, reboot=True).notes
    }
    assert notes == {
        ("gpu1", "there is no nvidia-persistenced.service"),
        ("gpu2", "there is no nvidia-persistenced.service"),
        ("gpu2", "reboot pending"),
    }


def test_an_accepted_outage_is_of_every_model(made: Session, bench: Bench) -> None:
    acted(made, bench, reboot=True, allow_outage=True)
    assert read_rollout(made.store, journal(made)[0].rollout).outages == ("assistant",)


def test_where_none_waits_no_rollout_is_opened(made: Session, bench: Bench) -> None:
    for host in made.machines.values():
        host.loaded = NEW
    assert acted(made, bench, reboot=True) == Run()
    assert journal(made) == []


def test_a_host_that_failed_is_not_rebooted(made: Session, bench: Bench) -> None:
    run = acted(made, bench, run=Run(unreachable={"gpu1": "timed out"}), reboot=True)
    assert run.unreachable == {"gpu1": "timed out"}
    assert boots(made) == [0, 1, 1]


def test_a_host_that_is_out_of_reach_is_named_and_not_rebooted(made: Session, bench: Bench) -> None:
    """The others wait: it counts as an unavailable host."""
    made.machines["gpu1"].gone = True
    unreachable = acted(made, bench, reboot=True).unreachable
    assert unreachable["gpu1"] == "unreachable"
    assert unreachable["gpu2"].startswith("2 hosts would be unavailable: gpu1, gpu2; patch.max_unavailable is 1; ")
    assert boots(made) == [0, 0, 0]


def test_the_machine_that_this_runs_on_is_never_rebooted(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, local="gpu1")
    for allow_outage in (False, True):
        assert acted(made, bench, reboot=True, allow_outage=allow_outage).unreachable == {
            "gpu1": "is the machine that rackwright runs on, not rebooted; next: reboot it, then run rackwright apply"
        }
    assert boots(made) == [0, 1, 1]


def test_a_driver_that_engines_run_on_is_installed_when_the_host_is_drained(made: Session, bench: Bench) -> None:
    for name in ("gpu2", "gpu3"):
        made.machines[name].loaded = NEW
    drained: list[set[str]] = []
    bench.installed = lambda name: drained.append(set(made.traffic.drained))
    bench.installs["gpu1"] = INSTALLED
    run = acted(made, bench, {"gpu1": SWAP}, reboot=True)
    assert drained == [{ONE}]
    assert boots(made) == [1, 0, 0]
    assert run.steps == INSTALLED.steps


# What failed.


def test_those_after_a_host_that_was_not_rebooted_go_no_further(made: Session, bench: Bench) -> None:
    made.traffic.requests["gpu2/assistant@1"] = [2]
    assert acted(made, bench, reboot=True).unreachable == {
        "gpu2": "2 requests are still in flight after 600 s; the rollout pauses, and no request was killed; "
        "wait for them, or raise rollout.drain_timeout; done: gpu1; next: rackwright status",
        "gpu3": f"reboot pending: {WHY}; not rebooted, because gpu2 was not",
    }
    assert (boots(made), is_open(made)) == ([1, 0, 0], False)


def test_each_host_that_failed_has_its_own_reason(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, patch={"max_unavailable": 2}, rollout={"max_unavailable": 2})
    for name in ("gpu2", "gpu3"):
        made.machines[name].after = OLD
    unreachable = acted(made, bench, reboot=True).unreachable
    assert list(unreachable) == ["gpu2", "gpu3"]
    assert all(why.startswith("was rebooted, but") for why in unreachable.values())


def test_the_only_gateway_is_left_and_the_way_out_is_named(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path, [("gpu1", "assistant@1"), ("gpu2", "assistant@1")], gateways=("gpu1",))
    made.machines["gpu2"].loaded = NEW

    def alone(gateway: str) -> None:
        raise HostError("the fleet has no other gateway", where=gateway, next="the same command with --allow-outage")

    monkeypatch.setattr(made.traffic, "leave", alone)
    monkeypatch.setattr(made.traffic, "rejoin", lambda gateway: None)
    assert acted(made, bench, reboot=True).unreachable == {
        "gpu1": "the fleet has no other gateway; done: none; next: the same command with --allow-outage"
    }
    assert (made.machines["gpu1"].boots, made.traffic.drained) == (0, set())


def test_a_host_that_can_not_be_asked_opens_no_rollout(made: Session, bench: Bench) -> None:
    made.machines["gpu1"].kills = 1
    unreachable = acted(made, bench, reboot=True).unreachable
    assert unreachable["gpu1"].startswith("asking which boot this is was ended by a signal")
    assert unreachable["gpu2"] == f"reboot pending: {WHY}; not rebooted, because gpu1 was not"
    assert (boots(made), journal(made)) == ([0, 0, 0], [])


def test_a_rollout_that_stays_open_halts_the_apply(made: Session, bench: Bench) -> None:
    made.machines["gpu1"].stays_away = True
    bench.installs["gpu1"] = INSTALLED
    with pytest.raises(Halted) as caught:
        acted(made, bench, reboot=True)
    assert caught.value.run.steps == INSTALLED.steps
    assert "did not come back within 1800 s of its reboot" in str(caught.value.error)
    assert (boots(made), is_open(made)) == ([1, 0, 0], True)


def test_one_whose_journal_can_not_be_read_counts_as_open(made: Session, bench: Bench) -> None:
    made.machines["gpu1"].stays_away = True
    at_work = work(made, bench, reboot=True)

    def lost(name: str) -> None:
        made.store.shell.gone = True  # type: ignore[attr-defined]

    bench.installed = lost
    with pytest.raises(Halted):
        drivers_act(at_work, Run(), {})


def test_a_lost_lease_reboots_nothing(made: Session, bench: Bench) -> None:
    at_work = work(made, bench, reboot=True)
    lose_lease(made)
    with pytest.raises(LeasedError):
        drivers_act(at_work, Run(), {})
    assert boots(made) == [0, 0, 0]


def test_an_apply_that_was_halted_says_what_it_changed_and_why_it_ended(
    made: Session, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the audit logs have it."""
    noted: list[tuple[Run, str]] = []

    def halted(*_: object) -> None:
        raise Halted(INSTALLED, RackwrightError("gpu1 is away"))

    monkeypatch.setattr(carry_out, "_prepare", halted)
    monkeypatch.setattr(carry_out, "note_changes", lambda session, lease, run, hosts, then: noted.append((run, then)))
    applied = carry_out.carry_out(work(made, bench), planned())
    assert applied.run == INSTALLED
    assert str(applied.failure) == "gpu1 is away"
    assert noted == [(INSTALLED, "; then failed: gpu1 is away")]


# A driver under running engines.


def planned(*names: str, loaded: str | None = OLD, active: str = "active", role: str = "nvidia_driver") -> Any:
    step = f"Install driver {NEW} with kernel {KERNEL}"
    surveyed = {
        name: SimpleNamespace(
            replicas={"assistant@1": SimpleNamespace(active=active)}, driver=FoundDriver(loaded=loaded)
        )
        for name in HOSTS
    }
    return SimpleNamespace(
        closing={},
        dropped=(),
        run=Run(tuple(Step(name, role, step, Outcome.WOULD_CHANGE) for name in names)),
        surveyed=SimpleNamespace(hosts=surveyed, control=None),
        empty=not names,
        restarts=(),
        drains=(),
        deferred=(),
        members=(),
        retirement=Retirement(),
    )


def refused(made: Any, plan: Any, *, reboot: bool = False) -> str | None:
    try:
        refuse_swap(made, plan, reboot=reboot)
    except RackwrightError as error:
        return str(error)
    return None


def test_a_driver_is_not_changed_under_running_engines(made: Session) -> None:
    told = refused(made, planned("gpu1", "gpu3"))
    assert told is not None
    assert f"\n  - gpu1: {SWAP}\n  - gpu3: " in told
    assert "next: rackwright apply --reboot, which drains a host, installs its driver and reboots it" in told


@pytest.mark.parametrize(
    "changes", [{"active": "inactive"}, {"loaded": None}, {"loaded": NEW}, {"role": "cuda"}], ids=str
)
def test_a_driver_that_no_engine_runs_on_may_change(made: Any, changes: dict[str, Any]) -> None:
    assert refused(made, planned("gpu1", **changes)) is None
    assert swapped(made, planned("gpu1", **changes)) == {}


def test_with_a_reboot_it_may_change_where_the_host_can_be_rebooted(tmp_path: Path) -> None:
    made: Any = session(tmp_path, local="gpu2")
    assert refused(made, planned("gpu1"), reboot=True) is None
    assert swapped(made, planned("gpu1")) == {"gpu1": SWAP}
    told = refused(made, planned("gpu1", "gpu2"), reboot=True)
    assert told is not None
    assert f"gpu2: {SWAP}; gpu2 is the machine that rackwright runs on, not rebooted" in told
    assert "gpu1" not in told


def test_with_a_reboot_the_deploy_leaves_such_hosts_to_the_rollout(
    made: Session, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed: list[tuple[str, set[str]]] = []
    rebooted: list[object] = []

    def then(work: Work, run: Run, deploy: Any, *, but: Any = ()) -> Run:
        deployed.append((deploy.__name__, set(but)))
        return run

    def acts(work: Work, run: Run, later: object) -> Run:
        rebooted.append(later)
        raise LeasedError("enough")

    monkeypatch.setattr(carry_out, "then", then)
    monkeypatch.setattr(carry_out, "set_up", lambda *_: Run())
    monkeypatch.setattr(carry_out, "drivers_act", acts)
    for reboot, left in ((False, {}), (True, {"gpu1": SWAP})):
        with pytest.raises(LeasedError):
            carry_out._prepare(work(made, bench, reboot=reboot), planned("gpu1"))
        assert deployed.pop() == ("gpu", set(left))
        assert rebooted.pop() == left


# What an apply without changes does.


def applied(monkeypatch: pytest.MonkeyPatch, made: Any, plan: Any, **options: Any) -> tuple[Console, bool]:
    """Return the messages, and whether anything was carried out."""
    carried: list[object] = []

    @contextmanager
    def leased(*_: object) -> Iterator[object]:
        yield SimpleNamespace(run="r1")

    monkeypatch.setattr(apply, "leased", leased)
    monkeypatch.setattr(apply, "compared", lambda session: None)
    monkeypatch.setattr(apply, "plan", lambda session, only: plan)
    monkeypatch.setattr(apply, "refuse_stale_checkout", lambda *_, **__: True)
    monkeypatch.setattr(apply, "_remember", lambda *_, **__: None)
    monkeypatch.setattr(apply, "_saved", lambda session, applied, *_: applied)
    monkeypatch.setattr(apply, "_carry_out", lambda *_: carried.append(1) or Applied(Run()))
    console: Any = Console()
    apply.apply(made, Options(**options), console, lambda plan: None)
    return console, bool(carried)


def test_a_reboot_that_was_left_over_is_made_though_nothing_else_is_to_be_done(
    made: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gpu2", "gpu3"):
        made.machines[name].loaded = NEW
    console, carried = applied(monkeypatch, made, planned(), reboot=True)
    assert (carried, console.said) == (True, [f"gpu1: will reboot: {WHY}"])
    assert applied(monkeypatch, made, planned()) == (Console(), False)
    made.machines["gpu1"].loaded = NEW
    assert applied(monkeypatch, made, planned(), reboot=True) == (Console(), False)


def test_the_operator_hears_which_hosts_would_get_another_driver_under_their_engines(
    made: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in HOSTS:
        made.machines[name].loaded = NEW
    console, carried = applied(monkeypatch, made, planned("gpu2"), reboot=True)
    assert (carried, console.said) == (True, [f"gpu2: will reboot: {SWAP}"])
    with pytest.raises(RackwrightError, match="the driver would change under running engines"):
        applied(monkeypatch, made, planned("gpu2"))
