"""Which etcd members are due: pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.control.due import disk_warnings, due_members
from rackwright.roles.etcd.state import EtcdState
from tests.fleet.fleets import make_fleet

HOSTS = ("gate1", "gpu1", "gpu2")
WELL = EtcdState(installed=True, member=True, data=True, active="active", started="a", present="a")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    hosts = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(HOSTS, 10)}
    return replace(make_fleet(tmp_path / "site.yml", hosts=hosts), recorded=HOSTS)


def due(fleet: Fleet, state: EtcdState | None, *, rewritten: bool = False) -> list[str]:
    states = {"gate1": WELL, "gpu1": WELL} | ({"gpu2": state} if state else {})
    return [str(one) for one in due_members(fleet, states, frozenset({"gpu2"} if rewritten else ()))]


def test_members_that_run_as_they_should_are_not(fleet: Fleet) -> None:
    assert due(fleet, WELL) == []


def test_one_that_waits_for_the_others_is_not(fleet: Fleet) -> None:
    assert due(fleet, replace(WELL, active="activating")) == []


def test_a_host_that_does_not_answer_is_left_alone(fleet: Fleet) -> None:
    assert due(fleet, None) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (EtcdState(), "gpu2: replace its etcd member: it has no data, as on a new machine"),
        (replace(WELL, started="b"), "gpu2: restart its etcd member: its settings or its certificate are new"),
        (replace(WELL, active="failed", started=None), "gpu2: restart its etcd member: it is failed"),
        (
            replace(WELL, data=False, active="activating", ends=True),
            "gpu2: replace its etcd member: it has no data, as on a new machine",
        ),
        (
            replace(WELL, active="activating", ends=True),
            "gpu2: restart its etcd member: it ends again and again; if that doesn't help: rm"
            " /etc/rackwright/etcd/member.env there",
        ),
    ],
)
def test_others_are(fleet: Fleet, state: EtcdState, said: str) -> None:
    assert due(fleet, state) == [said]


def test_one_whose_files_are_about_to_change_restarts(fleet: Fleet) -> None:
    assert due(fleet, WELL, rewritten=True) == [
        "gpu2: restart its etcd member: its settings or its certificate are new"
    ]


def test_those_that_do_not_work_come_first(fleet: Fleet) -> None:
    """Otherwise apply would refuse to restart one that works, because the others need it."""
    states = {"gate1": replace(WELL, started="b"), "gpu1": replace(WELL, active="inactive"), "gpu2": EtcdState()}
    assert [due.host for due in due_members(fleet, states, frozenset())] == ["gpu2", "gpu1", "gate1"]


def test_one_control_host_has_none(fleet: Fleet) -> None:
    assert due_members(replace(fleet, recorded=("gate1",)), {"gate1": EtcdState()}, frozenset()) == ()


def test_one_that_ends_because_its_disk_is_full_starts_on_its_own_and_is_named(fleet: Fleet) -> None:
    full = replace(WELL, active="activating", ends=True, left=0)
    assert due(fleet, full) == []
    (said,) = disk_warnings(fleet, {"gate1": WELL, "gpu2": full})
    assert said.startswith("gpu2: the disk of /var/lib/rackwright-etcd has 0 MiB left; without space its etcd member")
    assert said.endswith("next: df -h /var/lib/rackwright-etcd there")
    assert due(fleet, replace(full, left=512)) != []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (WELL, ""),
        (replace(WELL, left=512), ""),
        (replace(WELL, left=511), "gpu2: the disk of /var/lib/rackwright-etcd has 511 MiB left"),
        (replace(WELL, slow=1), "gpu2: its disk took over a second for a write of etcd, once in the last hour"),
        (replace(WELL, slow=7), "gpu2: its disk took over a second for a write of etcd, 7 times in the last hour"),
    ],
)
def test_a_disk_that_is_slow_or_almost_full_is_named(fleet: Fleet, state: EtcdState, said: str) -> None:
    found = [*disk_warnings(fleet, {"gpu2": state})]
    assert [one.startswith(said) for one in found] == ([True] if said else [])
    # A single control host has no etcd.
    assert [*disk_warnings(replace(fleet, recorded=("gpu2",)), {"gpu2": state})] == []
