"""Which replicas retire, and which of them can serve until others answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.gateway import ServerState
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.apply import retiring
from rackwright.lifecycle.apply.retiring import Retirement, Retiring, retirement
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed, surveyed_of
from rackwright.remote.completed import Completed
from rackwright.run import Outcome, Run, Step
from tests.fleet.fleets import make_fleet
from tests.roles.test_gpus import gpu, hardware

OLD, NEW = Replica("assistant", 1, "gpu1", 1), Replica("assistant", 1, "gpu2", 1)
OTHER = Replica("other", 1, "gpu1", 1)
CHANGES = Run((Step("gate1", "gateway", "Write the configuration", Outcome.WOULD_CHANGE),))


class Gateways:
    def __init__(self, states: list[ServerState], *, fails: bool = False) -> None:
        self.states, self.fails = states, fails

    def only(self, names: tuple[str, ...]) -> Gateways:
        return self

    def servers(self) -> dict[str, ServerState]:
        if self.fails:
            raise HostError("no HAProxy yet", where="gate1")
        return {state.address: state for state in self.states}


def serves(replica: Replica, port: int = 8100, *, up: bool = True, drained: bool = False) -> ServerState:
    return ServerState(replica.host, replica.name, drained, up, 0, None, port=port)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """gpu1 and gpu2, with one GPU each; the fleet file places the model on gpu2 only."""
    made = make_fleet(tmp_path / "site.yml", replicas={"gpu1": ["assistant@1", "other@1"], "gpu2": ["assistant@1"]})
    return replace(made, replicas=(NEW,))


def looked(fleet: Fleet, *states: ServerState, ports: dict[str, dict[str, int]] | None = None, **how: Any) -> Any:
    lock = Lock.model_construct(ports=ports or {"gpu2": {"assistant@1": 8100}}, models={})
    remote = SimpleNamespace(each=lambda names, work: {name: work(name) for name in names})
    session = Session(fleet, lock, {}, cast("Any", remote), cast("Any", None))
    session.__dict__["gateways"] = Gateways(list(states), fails=how.get("fails", False))
    return retirement(session, surveyed(how.get("hosts", ("gpu1", "gpu2"))), how.get("run", CHANGES))


def surveyed(hosts: tuple[str, ...], seen: Hardware | None = None) -> Survey:
    host: Surveyed = surveyed_of([Completed(0, b"")] * 17, "gpu1")
    state = cast("Any", type("State", (), {"gpus": ("GPU-0",)}))
    states = dict.fromkeys(("assistant@1", "assistant@2", "other@1"), state)
    one = replace(host, hardware=seen or hardware(gpu(0), nodes=()), replicas=states)
    return Survey(dict.fromkeys(("gate1", *hosts), one), {})


def test_a_replica_that_is_no_longer_placed_serves_until_others_answer(fleet: Fleet) -> None:
    found = looked(fleet, serves(OLD), serves(NEW, up=False))
    assert found == Retirement((Retiring(OLD, 8100),))
    assert found.kept == found.replicas


def test_one_that_gets_no_requests_now_has_nothing_to_wait_for(fleet: Fleet) -> None:
    assert looked(fleet, serves(OLD, drained=True)) == Retirement()
    assert looked(fleet, serves(OLD, up=False)) == Retirement()


def test_the_gateways_are_asked_only_if_they_change(fleet: Fleet) -> None:
    assert looked(fleet, serves(OLD), run=Run()) == Retirement()


def test_a_new_gateway_has_no_server(fleet: Fleet) -> None:
    assert looked(fleet, serves(OLD), fails=True) == Retirement()


def test_a_model_or_host_that_left_the_fleet_file_goes_with_its_replicas(fleet: Fleet) -> None:
    gone = [serves(Replica("gone", 1, "gpu1", 1)), serves(Replica("assistant", 1, "gone1", 1))]
    assert looked(fleet, *gone) == Retirement()


def test_on_a_disabled_host_only_the_gateways_know_it(fleet: Fleet) -> None:
    found = looked(fleet, serves(OLD), hosts=("gpu2",))
    assert found.kept == (Retiring(replace(OLD, gpus=0), 8100),)


@pytest.mark.parametrize(
    ("places", "ports", "room"),
    [
        ((NEW, OTHER), {}, "its GPUs are needed on gpu1"),
        ((NEW,), {"gpu1": {"other@1": 8100}}, "another replica gets its port 8100"),
        ((OTHER,), {}, "the fleet file places no replica of its model"),
        ((replace(NEW, members=("gpu2", "gpu3")),), {}, "its model's replicas span several hosts"),
    ],
)
def test_without_room_it_stops_first_and_its_model_is_down(
    fleet: Fleet, places: tuple[Replica, ...], ports: dict[str, dict[str, int]], room: str
) -> None:
    found = looked(replace(fleet, replicas=places), serves(OLD), ports={"gpu2": {"assistant@1": 8100}, **ports})
    assert found.stopped_first == (Retiring(OLD, 8100, room),)
    assert found.outages == ("assistant",)
    assert found.kept == ()


def test_while_another_replica_serves_nothing_is_down(fleet: Fleet) -> None:
    found = looked(replace(fleet, replicas=(NEW, OTHER)), serves(OLD), serves(NEW))
    assert found.stopped_first
    assert found.outages == ()


def test_two_that_fit_only_alone_do_not_both_stay(fleet: Fleet) -> None:
    found = looked(fleet, serves(OLD), serves(replace(OLD, number=2), 8101))
    assert [(one.replica.number, one.stops_first) for one in found.replicas] == [
        (1, None),
        (2, "its GPUs are needed on gpu1"),
    ]
    assert found.outages == ()


def test_memory_that_both_need_at_once_is_no_room(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(asked: Fleet, *_: object) -> set[str]:
        return {"assistant"} if len(asked.parts_on("gpu1")) > 1 else set()

    monkeypatch.setattr(retiring, "_unfit", unfit)
    found = looked(replace(fleet, replicas=(NEW, replace(OTHER, gpus=0))), serves(OLD))
    assert found.stopped_first == (Retiring(OLD, 8100, "its memory is needed on gpu1"),)
