"""Scenarios of drills that `make test` leaves out, on real hosts through the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.drill_site import DrillSite, drill_site

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/drill",
    "rackwright/lifecycle/restore",
    "rackwright/lifecycle/backup/choose.py",
    "rackwright/fleet/sections/drill.py",
    "rackwright/cli/drill/run.py",
    "tests/lab/drill_site.py",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrillSite]:
    with drill_site("drills", tmp_path_factory.mktemp("fleet"), "gate1", "gpu1") as made:
        yield made


def passed(site: DrillSite, scenario: str) -> Any:
    """Run a drill that must pass, and return the facts of its report."""
    said = site.operator(*site.drill("--scenario", scenario, "--yes", "--json"), timeout=500)
    assert said.json["passed"]
    return json.loads(Path(said.json["report"]).read_text())["facts"]


def test_the_fleet_comes_back_without_its_first_repository(site: DrillSite) -> None:
    facts = passed(site, "repository-lost")
    assert {point["repository"] for point in facts["recovery_points"]} == {"web"}
    assert any(check["name"] == "golden answers" for check in facts["checks"])


def test_the_fleet_comes_back_from_before_its_newest_snapshots(site: DrillSite) -> None:
    before = {point["host"]: point["time"] for point in passed(site, "serving-host")["recovery_points"]}
    site.operator("backup", "run")
    facts = passed(site, "poisoned")
    assert {point["host"]: point["time"] for point in facts["recovery_points"]} == before
