from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.apply.plan import restarts
from rackwright.lifecycle.gpus.assignment import deferred, refuse_gpus, still_deferred
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed, surveyed_of
from rackwright.remote.completed import Completed
from rackwright.roles.people.settings import Settings as People
from rackwright.roles.replica.gpus import devices_of, render_gpus
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.unit import render
from tests.fleet.fleets import make_fleet
from tests.roles.serving import REPLICA
from tests.roles.test_gpus import gpu, hardware

TWO = hardware(gpu(0), gpu(1), nodes=())


def session(tmp_path: Path, *counts: int) -> Session:
    """A session with gpu1, which has one replica for each of these numbers of GPUs."""
    names = [f"assistant@{number + 1}" for number in range(len(counts))]
    units = tuple(
        REPLICA.model_copy(update={"name": name, "gpus": count}) for name, count in zip(names, counts, strict=True)
    )
    fleet = replace(
        make_fleet(tmp_path / "site.yml", replicas={"gpu1": names}),
        replicas=tuple(Replica("assistant", number, "gpu1", count) for number, count in enumerate(counts, start=1)),
    )
    model = cast("HostSpec", type("Model", (), {"replicas": units, "people": People()}))
    return Session(fleet, cast("Any", None), {"gpu1": model}, cast("Any", None), cast("Any", None))


def running(session: Session, number: int, *gpus: int, in_use: tuple[int, ...] | None = None) -> ReplicaState:
    """An engine on its current unit; its drop-in names these GPUs of TWO, and it runs with `in_use`."""
    unit = session.hosts["gpu1"].replicas[number - 1]
    devices = devices_of(TWO)
    text = render_gpus(tuple(devices[index] for index in (gpus if in_use is None else in_use)))
    digest = sha256(render(unit).encode()).hexdigest()
    return ReplicaState(
        replica=unit.name,
        active="active",
        probe="ready",
        since=None,
        started=digest,
        wanted=digest,
        gpus=tuple(f"GPU-{index}" for index in gpus),
        gpus_in_use=tuple(f"GPU-{index}" for index in (gpus if in_use is None else in_use)),
        gpus_digest=sha256(text.encode()).hexdigest(),
    )


def survey(seen: Hardware, *states: ReplicaState) -> Survey:
    host: Surveyed = replace(
        surveyed_of([Completed(0, b"")] * 17, "gpu1"),
        hardware=seen,
        replicas={state.replica: state for state in states},
    )
    return Survey({"gpu1": host}, {})


def why(session: Session, surveyed: Survey) -> dict[str, str]:
    return {restart.replica.name: restart.why for restart in restarts(session, surveyed)}


def test_an_engine_that_runs_with_its_gpus_is_left(tmp_path: Path) -> None:
    two = session(tmp_path, 1, 1)
    assert why(two, survey(TWO, running(two, 1, 1), running(two, 2, 0))) == {}


def test_an_engine_that_runs_with_other_gpus_restarts_and_says_which(tmp_path: Path) -> None:
    one = session(tmp_path, 1)
    assert why(one, survey(TWO, running(one, 1, 1, in_use=(0,)))) == {
        "assistant@1": "its GPUs changed: GPU-1 instead of GPU-0"
    }
    gone = survey(hardware(gpu(0), nodes=()), running(one, 1, 1))
    assert why(one, gone) == {"assistant@1": "its GPUs changed: GPU-0 instead of GPU-1"}


def test_an_engine_that_restarts_with_other_gpus_alone_has_no_other_unit_to_go_back_to(tmp_path: Path) -> None:
    one = session(tmp_path, 1)
    moved = running(one, 1, 1, in_use=(0,))
    told = replace(moved, started="0" * 64, wanted="0" * 64)
    assert [restart.rewritten for restart in restarts(one, survey(TWO, moved))] == [False]
    assert [restart.rewritten for restart in restarts(one, survey(TWO, told))] == [True]


def test_an_engine_next_to_whose_gpus_other_processors_stand_restarts(tmp_path: Path) -> None:
    one = session(tmp_path, 1)
    assert why(one, survey(hardware(gpu(0), gpu(1)), running(one, 1, 0))) == {
        "assistant@1": "the processors next to its GPUs changed"
    }


def test_without_a_driver_nothing_is_known_of_gpus_and_new_engines_wait(tmp_path: Path) -> None:
    two = session(tmp_path, 1, 1)
    blind = survey(Hardware(smi_error="no devices were found"), running(two, 1, 0))
    assert why(two, blind) == {}
    assert [
        (waiting.replica.name, waiting.why, waiting.until_restarts) for waiting in deferred(two, blind, set())
    ] == [("assistant@2", "waits for the driver: no devices were found", False)]


def test_a_new_engine_waits_for_gpus_that_one_which_restarts_still_has(tmp_path: Path) -> None:
    two = session(tmp_path, 1, 1)
    crowded = survey(TWO, running(two, 1, 0, 1))
    assert why(two, crowded) == {"assistant@1": "its GPUs changed: GPU-0 instead of GPU-0, GPU-1"}
    restarting = {restart.replica for restart in restarts(two, crowded)}
    (waiting,) = deferred(two, crowded, restarting)
    assert (waiting.replica.name, waiting.until_restarts) == ("assistant@2", True)
    assert list(deferred(two, survey(TWO, running(two, 1, 0)), set())) == []
    assert list(deferred(two, crowded, set())) == []


def test_more_gpus_than_a_host_has_are_refused_unless_it_tells_of_none(tmp_path: Path) -> None:
    three = session(tmp_path, 2, 1)
    with pytest.raises(FleetError, match="gpu1: models: the replicas placed on it need 3 GPUs, but it has 2"):
        refuse_gpus(three, survey(TWO))
    with pytest.raises(FleetError):
        refuse_gpus(three, survey(replace(TWO, report=None)))
    refuse_gpus(three, survey(Hardware()))
    refuse_gpus(session(tmp_path, 1, 1), survey(TWO))


def test_a_replica_that_waited_for_a_driver_is_surveyed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = session(tmp_path, 1, 1)
    blind = survey(Hardware())
    before = tuple(deferred(two, blind, set()))
    now = [blind]
    monkeypatch.setattr("rackwright.lifecycle.gpus.assignment.survey", lambda again: now[0])
    assert still_deferred(two, before, ("gpu1",)) == before
    assert still_deferred(two, before, ()) == ()
    now[0] = survey(TWO, running(two, 1, 0), running(two, 2, 1))
    assert still_deferred(two, before, ("gpu1",)) == ()


def test_a_replica_that_waits_for_restarting_engines_is_not_surveyed_again(tmp_path: Path) -> None:
    two = session(tmp_path, 1, 1)
    crowded = survey(TWO, running(two, 1, 0, 1))
    before = tuple(deferred(two, crowded, {restart.replica for restart in restarts(two, crowded)}))
    assert still_deferred(two, before, ("gpu1",)) == before
