from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.cli.drill.run import SCENARIOS as OFFERED
from rackwright.errors import FleetError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill.evidence.facts import Covered, NotCovered
from rackwright.lifecycle.drill.scenarios import SCENARIOS as KNOWN
from rackwright.lifecycle.drill.scope import SCENARIOS, drill_of, scenario_named, scope_of
from tests.fleet.test_load import GOOD
from tests.lifecycle.drill.drills import BACKUP, OWN, SCRATCH, own_fleet

LEFT = "no scratch host is left that stands for it"
OTHER = "not part of this scenario"
TWO_GATES = GOOD.replace("  gpu1: {", "  gate2: {address: 10.0.0.13}\n  gpu1: {", 1).replace(
    "[gate1]", "[gate1, gate2]"
)


def fleet_with(folder: Path, *stands_for: str, text: str = GOOD) -> Fleet:
    """Return a fleet with a scratch host for each of these lists."""
    hosts = "".join(
        f"    s{n}: {{address: 10.0.1.{n}, stands_for: [{names}]}}\n" for n, names in enumerate(stands_for, 1)
    )
    return own_fleet(folder, f"{text}{BACKUP}drill:\n  hosts:\n{hosts}  objectives: {{rto: 30m, rpo: 24h}}\n")


def test_as_many_hosts_as_possible_are_covered_the_first_ones_first(tmp_path: Path) -> None:
    scope = scope_of(own_fleet(tmp_path), "everything")
    assert scope.scratch == {"gate1": "scratch1", "gpu1": "scratch2"}
    assert scope.not_covered == {"gpu2": LEFT}
    assert scope.assets.in_scope == ("gate1", "gpu1", "gpu2")
    assert scope.assets.covered == (Covered("gate1", "scratch1"), Covered("gpu1", "scratch2"))
    assert scope.assets.not_covered == (NotCovered("gpu2", LEFT),)


def test_a_host_gives_its_scratch_host_up_if_it_has_another_one(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, "gate1, gpu1", "gate1, gpu2", "gate1")
    assert scope_of(fleet, "everything").scratch == {"gate1": "s3", "gpu1": "s1", "gpu2": "s2"}


@pytest.mark.parametrize(("control", "stands_for", "missing"), [("gpu1", "gate1", "gpu1"), ("gpu1", "gpu1", "gate1")])
def test_the_control_host_and_a_gateway_are_needed(
    tmp_path: Path, control: str, stands_for: str, missing: str
) -> None:
    fleet = fleet_with(tmp_path, stands_for, text=f"{GOOD}control: [{control}]\n")
    with pytest.raises(UsageError, match=rf"^drill.hosts: no scratch host is left that stands for {missing};"):
        scope_of(fleet, "everything")


def test_one_gateway_is_enough(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, "gpu1", "gate2", text=f"{TWO_GATES}control: [gpu1]\n")
    assert scope_of(fleet, "everything").scratch == {"gpu1": "s1", "gate2": "s2"}


def test_a_gateways_loss_takes_the_first_one_or_the_named_one(tmp_path: Path) -> None:
    scope = scope_of(own_fleet(tmp_path), "gateway")
    assert scope.scratch == {"gate1": "scratch1"}
    assert scope.not_covered == {"gpu1": OTHER, "gpu2": OTHER}
    fleet = fleet_with(tmp_path / "two", "gate1, gate2", "gate2", text=TWO_GATES)
    assert scope_of(fleet, "gateway", host="gate2").scratch == {"gate1": "s1", "gate2": "s2"}
    with pytest.raises(UsageError, match="is no gateway"):
        scope_of(fleet, "gateway", host="gpu1")
    elsewhere = fleet_with(tmp_path / "control", "gpu1", "gate2", text=f"{TWO_GATES}control: [gpu1]\n")
    assert scope_of(elsewhere, "gateway", host="gate2").scratch == {"gpu1": "s1", "gate2": "s2"}


def test_the_host_that_the_scenario_is_about_must_be_covered(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, "gate1", text=TWO_GATES)
    with pytest.raises(UsageError, match="stands for gate2; the scenario gateway needs one"):
        scope_of(fleet, "gateway", host="gate2")


def test_a_serving_host_comes_with_a_gateway(tmp_path: Path) -> None:
    fleet = fleet_with(tmp_path, "gate1", "gpu1, gpu2", text=GOOD.replace("on: gpu1", "on: [gpu1, gpu2]"))
    assert scope_of(fleet, "serving-host").scratch == {"gate1": "s1", "gpu1": "s2"}
    assert scope_of(fleet, "serving-host", host="gpu2").scratch == {"gate1": "s1", "gpu2": "s2"}


def test_a_host_that_serves_no_model_is_no_serving_host(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^gpu2: serves no model; should be a host with a replica$"):
        scope_of(own_fleet(tmp_path), "serving-host", host="gpu2")
    idle = OWN.replace("gpu1: {address: 10.0.0.11}", "gpu1: {address: 10.0.0.11, disabled: broken}")
    with pytest.raises(UsageError, match=r"^hosts: serves no model"):
        scope_of(own_fleet(tmp_path, idle.replace("[gpu1, gpu2]", "[gpu2]")), "serving-host")


def test_names_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gpu9"):
        scope_of(own_fleet(tmp_path), "gateway", host="gpu9")
    with pytest.raises(UsageError, match="restores all hosts; leave out --host"):
        scope_of(own_fleet(tmp_path), "everything", host="gpu1")
    with pytest.raises(UsageError, match="did you mean gateway"):
        scenario_named("gatewy")


def test_each_scenario_is_offered_and_can_be_carried_out() -> None:
    assert set(OFFERED) == set(SCENARIOS) == set(KNOWN)
    assert [scenario_named(name) for name in OFFERED] == list(OFFERED)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (GOOD, ["drill: missing", "backup.to: no sftp or rest repository"]),
        (GOOD + BACKUP, ["drill: missing"]),
        (
            GOOD + SCRATCH + "backup: {to: [{name: disk, url: /srv/backup, password: 'file:secrets/password'}]}\n",
            ["backup.to: no sftp or rest repository"],
        ),
        (OWN.replace("backup:\n", "backup:\n  snapshots: no\n"), ["backup.snapshots: is no"]),
    ],
)
def test_a_drill_needs_scratch_hosts_and_a_repository_elsewhere(tmp_path: Path, text: str, wrong: list[str]) -> None:
    with pytest.raises(FleetError) as raised:
        drill_of(own_fleet(tmp_path, text))
    assert [f"{one.where}: {one.what}" for one in raised.value.problems] == wrong
