"""Drills on real hosts through the command. molecule/drill, which `make test` runs, is the scenario "everything"."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.drill_site import DrillSite, drill_site
from tests.lab.operator import read_until
from tests.terminal import at_terminal

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/drill",
    "rackwright/lifecycle/restore",
    "rackwright/lifecycle/backup/choose.py",
    "rackwright/fleet/sections/drill.py",
    "rackwright/cli/drill/run.py",
    "tests/lab/drill_site.py",
)
STATE = "/var/lib/rackwright"
MARKER = "/var/lib/rackwright-drill/drill"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrillSite]:
    with drill_site("drills", tmp_path_factory.mktemp("fleet"), "gate1", "gpu1") as made:
        yield made


def passed(site: DrillSite, scenario: str) -> Any:
    """Run a drill that must pass, and return the facts of its report."""
    said = site.operator(*site.drill("--scenario", scenario, "--yes", "--json"), timeout=500)
    assert said.json["passed"]
    return json.loads(Path(said.json["report"]).read_text())["facts"]


def untouched(site: DrillSite) -> list[str]:
    """Return what would differ on the fleet's hosts if the drill had changed or leased something there."""
    look = "cat audit.log control/token; ls control; find /etc/rackwright -type f -newer audit.log"
    return [site.host(host).tell(f"cd {STATE}; {{ {look}; }} 2>/dev/null || true") for host in site.hosts]


def test_nothing_happens_before_an_operator_agrees(site: DrillSite) -> None:
    with at_terminal(site.operator.argv(*site.drill("--scenario", "gateway")), site.operator.environment) as terminal:
        terminal.read_until("and wipe them afterwards?")
        assert "gate1: restored to scratch-gate1" in terminal.shown
        terminal.type("n\n")
        assert terminal.end() == 1
    assert not site.scratch("gate1").holds("test -e /var/lib/rackwright-drill")


def test_a_wrong_password_opens_nothing(site: DrillSite) -> None:
    before = untouched(site)
    said = site.operator(*site.drill("--scenario", "wrong-password", "--yes", "--json"), timeout=300)
    assert said.json["passed"]
    for host in site.hosts:
        assert not site.scratch(host).holds(f"test -e {STATE} || test -e {MARKER}")
    assert untouched(site) == before


def test_a_killed_drill_leaves_evidence_and_the_next_one_cleans_up(site: DrillSite) -> None:
    before = untouched(site)
    running = site.operator.start(*site.drill("--scenario", "gateway", "--yes"))
    read_until(running, "gate1: restoring ")
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=60)
    scratch = site.scratch("gate1")
    assert scratch.holds(f"test -e {MARKER}")
    assert "policy drop" in scratch.tell("nft list table inet rackwright_drill"), "it stays isolated"
    said = site.operator(*site.drill("--scenario", "gateway", "--yes"), check=12)
    assert "uses this scratch host" in said.err
    assert "--take-over" in said.err
    left = site.operator("drill", "history", "--json", check=None).json["leftovers"]
    sealed = site.operator("drill", "seal", left[0], "--sign-with", f"{site.operator.path.parent}/anna", check=12)
    assert "sealed as not passed" in sealed.out
    done = site.operator(*site.drill("--scenario", "gateway", "--yes", "--take-over", "--json"), timeout=400)
    assert done.json["passed"]
    assert not scratch.holds(f"test -e {MARKER} || test -e {STATE} || nft list table inet rackwright_drill")
    site.operator("drill", "verify", str(site.operator.path.with_name("test.drills")))
    assert untouched(site) == before


def test_the_fleet_comes_back_without_its_first_repository(site: DrillSite) -> None:
    facts = passed(site, "repository-lost")
    assert {point["repository"] for point in facts["recovery_points"]} == {"web"}
    assert any(check["name"] == "golden answers" for check in facts["checks"])


def test_the_fleet_comes_back_from_before_its_newest_snapshots(site: DrillSite) -> None:
    before = {point["host"]: point["time"] for point in passed(site, "serving-host")["recovery_points"]}
    site.operator("backup", "run")
    facts = passed(site, "poisoned")
    assert {point["host"]: point["time"] for point in facts["recovery_points"]} == before
