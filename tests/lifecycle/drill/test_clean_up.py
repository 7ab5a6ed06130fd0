"""What killed drills left on scratch hosts is wiped, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from rackwright.errors import FleetError, HostError, ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill import clean
from rackwright.lifecycle.drill.clean import clean_up
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.values.targets import Target
from tests.fleet.test_load import GOOD
from tests.lifecycle.drill.drills import DRILL, NOON, own_fleet
from tests.lifecycle.drill.marked_host import MarkedHost
from tests.lifecycle.restore.kit_vault import Operator

LEFT = Marker(fleet="acme", drill=DRILL, who="anna", time=NOON)


class Hosts:
    """In place of Remote."""

    def __init__(self, **hosts: MarkedHost) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    def __call__(self, targets: Iterable[Target]) -> Hosts:
        self.asked = [target.name for target in targets]
        return self

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def names(self) -> list[str]:
        return self.asked

    def connection(self, name: str) -> MarkedHost:
        return self.hosts[name]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts(scratch1=MarkedHost("scratch1", LEFT), scratch2=MarkedHost("scratch2"))
    monkeypatch.setattr(clean, "Remote", made)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Fleet:
    return own_fleet(tmp_path)


def test_a_marked_host_is_taken_wiped_and_opened_and_others_are_left_alone(own: Fleet, hosts: Hosts) -> None:
    console = Operator()
    assert clean_up(own, console) == ("scratch1",)
    assert hosts.asked == ["scratch1", "scratch2"], "the fleet's own hosts aren't even asked"
    assert hosts.hosts["scratch1"].steps == ["identity", "claim", "wipe", "look", "lift"]
    assert hosts.hosts["scratch2"].steps == ["identity"]
    assert LEFT.sha256 in hosts.hosts["scratch1"].commands["claim"], "only that drill's marker is replaced"
    assert console.said == [f"scratch1: the drill {DRILL} of anna; its last sign is 4000 s old"]
    assert console.asked == ["Wipe scratch1?"]


def test_nothing_is_asked_if_no_host_has_a_marker(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].marker = None
    console = Operator()
    assert clean_up(own, console) == ()
    assert console.asked == []
    assert hosts.hosts["scratch1"].steps == ["identity"]


def test_another_fleets_drill_is_left_alone(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].marker = LEFT.model_copy(update={"fleet": "other"})
    assert clean_up(own, Operator()) == ()
    assert hosts.hosts["scratch1"].steps == ["identity"]


def test_nothing_is_changed_before_the_operator_agrees(own: Fleet, hosts: Hosts) -> None:
    with pytest.raises(RackwrightError, match="not confirmed"):
        clean_up(own, Operator(agrees=False))
    assert hosts.hosts["scratch1"].steps == ["identity"]


def test_a_host_that_another_drill_takes_meanwhile_is_not_wiped(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].failing = ("claim",)
    with pytest.raises(HostError, match="claim failed"):
        clean_up(own, Operator())
    assert hosts.hosts["scratch1"].steps == ["identity", "claim"]


def test_a_host_that_is_not_wiped_stays_isolated(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="is not wiped: left: /srv/models/a"):
        clean_up(own, Operator())
    assert "lift" not in hosts.hosts["scratch1"].steps


def test_one_that_is_wiped_is_opened_even_if_another_one_is_not(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch2"].marker = LEFT
    hosts.hosts["scratch1"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="scratch1: is not wiped"):
        clean_up(own, Operator())
    assert "lift" not in hosts.hosts["scratch1"].steps
    assert "lift" in hosts.hosts["scratch2"].steps


def test_a_fleet_without_scratch_hosts_has_nothing_to_clean(tmp_path: Path, hosts: Hosts) -> None:
    with pytest.raises(FleetError, match="drill: missing"):
        clean_up(own_fleet(tmp_path, GOOD), Operator())
