"""The progress of a replica in an open rollout, derived from its hosts and gateways."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.update import unfinished as open_rollout
from rackwright.lifecycle.update.unfinished import ReplicaProgress, survey_replicas
from rackwright.roles.replica.state import ReplicaState

REPLICA = Replica("assistant", 1, "gpu1", 0, members=("gpu1", "gpu2"))
OLD, NEW = "old digest", "new digest"


def engine(*, wanted: str = NEW, started: str | None = NEW, active: str = "active", probe: str = "ready") -> Any:
    return ReplicaState(REPLICA.name, active, probe, None, started, wanted)


def progress(
    monkeypatch: pytest.MonkeyPatch, first: ReplicaState | None, second: ReplicaState | None, *, lost: str = ""
) -> ReplicaProgress:
    """`first`, `second`: its engines on its two hosts; None: that host has none. `lost`: unreachable hosts."""
    seen = {"gpu1": first, "gpu2": second, "gate1": None}
    hosts: Any = {
        name: SimpleNamespace(replicas={REPLICA.name: state} if state else {}, drains={})
        for name, state in seen.items()
        if name != lost
    }
    monkeypatch.setattr(open_rollout, "survey", lambda _: Survey(hosts, {lost: "unreachable"} if lost else {}))
    units = {f"{host}/{REPLICA.name}": NEW for host in REPLICA.hosts}
    rollout = SimpleNamespace(models=("assistant",), units=units, taken=(REPLICA.address,))
    work: Any = SimpleNamespace(
        session=SimpleNamespace(fleet=SimpleNamespace(replicas=(REPLICA,), gateways=("gate1",))), rollout=rollout
    )
    (one,) = survey_replicas(work)
    return one


@pytest.mark.parametrize(
    ("first", "second", "changed", "whole"),
    [
        (engine(), engine(), True, True),
        (engine(wanted=OLD, started=OLD), engine(wanted=OLD, started=OLD), False, False),
        (engine(), engine(wanted=OLD, started=OLD), True, False),
        (engine(wanted=OLD, started=OLD), engine(), True, False),
        (engine(started=OLD), engine(wanted=OLD, started=OLD), True, False),
        (engine(wanted=OLD), engine(wanted=OLD, started=OLD), True, False),
        (engine(active="failed"), engine(), True, False),
        (engine(started=None), engine(), True, False),
        (engine(), None, True, False),
        (None, None, False, False),
    ],
    ids=[
        "all of it",
        "nothing",
        "the first alone",
        "the second alone",
        "the file alone",
        "the process alone",
        "a dead engine",
        "an engine that never started",
        "a host that lost its unit",
        "no unit anywhere",
    ],
)
def test_it_is_changed_where_one_host_took_the_new_unit_and_whole_where_all_run_on_it(
    monkeypatch: pytest.MonkeyPatch,
    first: ReplicaState | None,
    second: ReplicaState | None,
    changed: bool,
    whole: bool,
) -> None:
    one = progress(monkeypatch, first, second)
    assert (one.changed, one.whole, one.unknown) == (changed, whole, None)


@pytest.mark.parametrize("lost", ["gpu1", "gpu2", "gate1"])
def test_what_it_is_cannot_be_told_without_any_of_its_hosts_and_gateways(
    monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    assert progress(monkeypatch, engine(), engine(), lost=lost).unknown == f"{lost}: unreachable"


@pytest.mark.parametrize(
    ("first", "serves"),
    [(engine(), True), (engine(probe="busy"), True), (engine(probe="loading"), False), (None, False)],
)
def test_it_serves_where_its_first_hosts_probe_says_so(
    monkeypatch: pytest.MonkeyPatch, first: ReplicaState | None, serves: bool
) -> None:
    assert progress(monkeypatch, first, engine(probe="loading")).serves is serves
