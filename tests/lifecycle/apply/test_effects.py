"""What clients notice when engines restart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.apply.effects import ModelRestart, model_restarts
from rackwright.lifecycle.gpus.assignment import Deferred
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed, surveyed_of
from rackwright.remote.completed import Completed
from rackwright.roles.replica.state import ReplicaState
from tests.fleet.fleets import make_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return make_fleet(tmp_path / "site.yml", replicas={"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]})


def noticed(
    fleet: Fleet,
    *restarts: str,
    active: Collection[str] = ("gpu1", "gpu2"),
    drained: Collection[str] = (),
    lost: Collection[str] = (),
    waiting: Collection[str] = (),
) -> tuple[ModelRestart, ...]:
    bare: Surveyed = surveyed_of([Completed(0, b"")] * 17, "gpu1")
    hosts = {}
    for name in {"gpu1", "gpu2"} - {*lost}:
        state = ReplicaState("assistant@1", "active" if name in active else "failed", "ready", None, None, "")
        hosts[name] = replace(bare, replicas={"assistant@1": state})
    drains: Any = dict.fromkeys(f"{host}/assistant@1" for host in drained)
    surveyed = Survey({"gate1": replace(bare, drains=drains), **hosts}, dict.fromkeys(lost, "no route to host"))
    replicas = {replica.host: replica for replica in fleet.replicas}
    return model_restarts(
        cast("Session", SimpleNamespace(fleet=fleet)),
        surveyed,
        [replicas[host] for host in restarts],
        [Deferred(replicas[host], "waits for the driver", until_restarts=False) for host in waiting],
    )


def test_with_two_replicas_one_serves_while_the_other_restarts(fleet: Fleet) -> None:
    assert noticed(fleet, "gpu1", "gpu2") == (ModelRestart("assistant", 2, others_serve=True),)


@pytest.mark.parametrize(
    "other", [{"drained": ["gpu2"]}, {"lost": ["gpu2"]}, {"waiting": ["gpu2"]}], ids=["drained", "lost", "waiting"]
)
def test_it_is_downtime_if_no_other_one_can_serve(fleet: Fleet, other: dict[str, list[str]]) -> None:
    assert noticed(fleet, "gpu1", **other) == (ModelRestart("assistant", 1, others_serve=False),)


def test_one_that_this_apply_starts_serves_by_then(fleet: Fleet) -> None:
    assert noticed(fleet, "gpu1", active=["gpu1"]) == (ModelRestart("assistant", 1, others_serve=True),)


def test_no_client_notices_the_restart_of_one_that_does_not_serve(fleet: Fleet) -> None:
    assert noticed(fleet, "gpu1", drained=["gpu1"]) == ()
    assert noticed(fleet, "gpu1", active=["gpu2"]) == ()
