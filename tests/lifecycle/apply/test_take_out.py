"""Replicas that the fleet file no longer places: drained, removed, and what keeps them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import ServerState
from rackwright.lifecycle.apply import take_out as module
from rackwright.lifecycle.apply.retiring import Retirement, Retiring
from rackwright.lifecycle.apply.stages import Options
from rackwright.lifecycle.apply.take_out import room_made, take_out
from rackwright.lifecycle.apply.work import Work
from rackwright.run import Outcome, Run, Step
from tests.lifecycle.simulation import Clock

OLD, NEW = Replica("assistant", 1, "gpu1", 0), Replica("assistant", 1, "gpu2", 0)
KEPT = Retirement((Retiring(OLD, 8100),))
STOPPED = Retirement((Retiring(OLD, 8100, "its GPUs are needed on gpu1"),), ("assistant",))


@dataclass
class Gateways:
    """Like gateway.Gateways; requests in flight end after `busy` looks."""

    events: list[str]
    hosts: tuple[str, ...] = ("gate1",)
    serving: set[str] = field(default_factory=lambda: {OLD.address, NEW.address})
    manual: set[str] = field(default_factory=set)
    busy: int = 0
    waiting: int = 0
    """What is queued; with each look, one less."""
    fails: tuple[str, ...] = ()

    def servers(self) -> dict[str, ServerState]:
        flying, self.busy = (1, self.busy - 1) if self.busy else (0, 0)
        return {
            one.address: ServerState(
                *(one.host, one.name, one.address in self.manual, one.address in self.serving, flying, None)
            )
            for one in (OLD, NEW)
        }

    def only(self, names: Any) -> Gateways:
        self.hosts = tuple(names)
        return self

    def drain(self, address: str, **_: object) -> None:
        self.did("drain", address)

    def undrain(self, address: str) -> None:
        self.did("undrain", address)

    def forget_drain(self, address: str) -> None:
        self.did("forget", address)

    def queued(self, model: str) -> int:
        left, self.waiting = self.waiting, max(0, self.waiting - 1)
        return left

    def open_downtime(self, model: str, seconds: int, *, early: int) -> None:
        self.did("early downtime" if early else "open downtime", model)

    def close_downtime(self, model: str) -> None:
        self.did("close downtime", model)

    def did(self, what: str, subject: str) -> None:
        self.events.append(f"{what} {subject}")
        if what in self.fails:
            raise HostError("is away", where="gate1")


@dataclass
class Bench:
    events: list[str] = field(default_factory=list)
    lost: bool = False
    stops: bool = False

    def __post_init__(self) -> None:
        self.gateways = Gateways(self.events)

    def work(self) -> Work:
        fleet = SimpleNamespace(
            gateways=("gate1",),
            replicas_of=lambda _: (NEW,),
            file=SimpleNamespace(rollout=SimpleNamespace(drain_timeout=30)),
        )
        session: Any = SimpleNamespace(gateways=self.gateways, fleet=fleet)
        lease: Any = SimpleNamespace(
            run="r1",
            lease=SimpleNamespace(owner=SimpleNamespace(who="ada@desk")),
            check=self.check,
            store=SimpleNamespace(entries=lambda: ()),
        )
        console: Any = SimpleNamespace(say=lambda _: None)
        return Work(session, lease, Options(), console, lambda: self.stops)

    def check(self) -> None:
        if self.lost:
            raise LeasedError("the lease has ended")

    def deploy(self, work: Work, run: Run) -> Run:
        self.events.append("deploy")
        return run


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.now, sleep=clock.sleep))
    monkeypatch.setattr(module, "failure_audited", lambda *_: nullcontext())
    monkeypatch.setattr(module, "note_leased_act", lambda *_: None)
    monkeypatch.setattr(module, "_narrowed", lambda work, retirement, left: work)
    return Bench()


def test_the_old_one_is_drained_and_waited_for_before_anything_is_removed(bench: Bench) -> None:
    bench.gateways.busy = 3
    take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == [f"drain {OLD.address}", "deploy", f"forget {OLD.address}"]


def test_without_one_nothing_is_done(bench: Bench) -> None:
    take_out(bench.work(), Retirement(), Run(), bench.deploy)
    take_out(bench.work(), KEPT, Run(interrupted=True), bench.deploy)
    assert bench.events == []


def test_it_goes_on_serving_while_another_one_does_not(bench: Bench) -> None:
    bench.gateways.serving = {OLD.address}
    with pytest.raises(RackwrightError, match=r"gpu1/assistant@1: gpu2/assistant@1 doesn't serve"):
        take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == ["deploy"]


def test_one_that_an_operator_has_drained_need_not_serve(bench: Bench) -> None:
    bench.gateways.manual = {NEW.address}
    take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == [f"drain {OLD.address}", "deploy", f"forget {OLD.address}"]


def test_it_goes_on_serving_if_a_gateway_that_may_use_it_failed(bench: Bench) -> None:
    failed = Run((Step("gate1", "gateway", "Write the configuration", Outcome.FAILED),))
    with pytest.raises(RackwrightError, match="gate1 failed, and may still send it requests"):
        take_out(bench.work(), KEPT, failed, bench.deploy)
    assert bench.events == ["deploy"]


@pytest.mark.parametrize(("stops", "told"), [(False, "still in flight after 30 s"), (True, "interrupted")])
def test_requests_that_do_not_end_are_not_cut_and_it_serves_again(bench: Bench, *, stops: bool, told: str) -> None:
    bench.gateways.busy, bench.stops = 10**6, stops
    with pytest.raises(RackwrightError, match=told):
        take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == [f"drain {OLD.address}", f"undrain {OLD.address}"]


def test_a_gateway_that_can_not_be_asked_leaves_it_as_it_was(bench: Bench) -> None:
    bench.gateways.fails = ("drain", "undrain")
    with pytest.raises(HostError):
        take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == [f"drain {OLD.address}", f"undrain {OLD.address}"]


def test_without_the_lease_nothing_is_drained_or_undrained(bench: Bench) -> None:
    bench.lost = True
    with pytest.raises(LeasedError):
        take_out(bench.work(), KEPT, Run(), bench.deploy)
    assert bench.events == []


def test_one_that_stops_first_is_drained_and_its_model_is_down_within_the_block(bench: Bench) -> None:
    with room_made(bench.work(), STOPPED, Run()):
        bench.events.append("block")
    assert bench.events == [
        "early downtime assistant",
        f"drain {OLD.address}",
        "open downtime assistant",
        "block",
        "close downtime assistant",
    ]
    bench.events.clear()
    take_out(bench.work(), STOPPED, Run(), bench.deploy)
    assert bench.events == ["deploy", f"forget {OLD.address}"]


def test_a_downtime_ends_however_the_block_ends(bench: Bench) -> None:
    bench.gateways.fails = ("close downtime",)
    with pytest.raises(RackwrightError, match="not ready"), room_made(bench.work(), STOPPED, Run()):
        raise RackwrightError("not ready")
    assert bench.events[-1] == "close downtime assistant"


def test_without_the_lease_the_downtime_is_left_to_the_run_that_has_it(bench: Bench) -> None:
    bench.lost = True
    with pytest.raises(LeasedError), room_made(bench.work(), STOPPED, Run()):
        pass
    assert bench.events == ["early downtime assistant"]


def test_one_that_stops_first_answers_what_is_queued_before_it_is_drained(bench: Bench) -> None:
    bench.gateways.waiting = 40
    with room_made(bench.work(), STOPPED, Run()):
        pass
    assert bench.events[:3] == ["early downtime assistant", "early downtime assistant", f"drain {OLD.address}"]


def test_requests_that_stay_queued_end_it_and_it_serves_on(bench: Bench) -> None:
    bench.gateways.waiting = 10**6
    with (
        pytest.raises(RackwrightError, match=r"still queued after 30 s(.|\n)*assistant: \d+ requests queued"),
        room_made(bench.work(), STOPPED, Run()),
    ):
        pass
    assert bench.events[-1] == "close downtime assistant"
    assert f"drain {OLD.address}" not in bench.events


def test_without_one_that_stops_first_no_gateway_is_asked(bench: Bench) -> None:
    for retirement, run in ((KEPT, Run()), (STOPPED, Run(interrupted=True))):
        with room_made(bench.work(), retirement, run):
            pass
    assert bench.events == []


def test_only_hosts_whose_specs_differ_are_changed_again() -> None:
    @dataclass(frozen=True)
    class Spec:
        text: str
        credentials: str = ""
        rolled: frozenset[str] = frozenset()

    one = cast("Any", Spec("a", "first", frozenset({"assistant@1"})))
    assert not module._differ(one, cast("Any", Spec("a", "second")))
    assert module._differ(one, cast("Any", Spec("b")))
