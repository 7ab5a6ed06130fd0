"""Production takes over what a staging site has proven: two fleets with their own hosts. Each builds on the last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.versions import Versions

pytestmark = pytest.mark.lab
SITES = {"staging": ("gate1", "gpu1"), "production": ("gate2", "gpu2")}
KEPT = "cd /var/lib/rackwright && find . -type f -exec sha256sum {} + | sort"
"""What a control host keeps."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("promote", *(host for hosts in SITES.values() for host in hosts), bare=("gpu1",)) as lab:
        yield lab


def fleet_of(site: str, lab: Lab, folder: Path) -> Operator:
    folder.mkdir()
    fleet = lab.fleet()
    return operator(folder, replace(fleet, name=site, hosts={host: fleet.hosts[host] for host in SITES[site]}))


@pytest.fixture(scope="module")
def staging(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return fleet_of("staging", lab, tmp_path_factory.mktemp("sites") / "staging")


@pytest.fixture(scope="module")
def proven(staging: Operator) -> Versions:
    """The model at the staging site."""
    return Versions(staging)


@pytest.fixture(scope="module")
def production(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return fleet_of("production", lab, tmp_path_factory.mktemp("sites") / "production")


@pytest.fixture(scope="module")
def model(production: Operator) -> Versions:
    """The model at the production site."""
    made = Versions(production)
    production("lock")
    production("apply", "--yes")
    return made


def test_what_was_not_proven_there_is_refused(
    staging: Operator, proven: Versions, production: Operator, model: Versions
) -> None:
    proven.good("two")
    staging("lock")
    lock = production.path.with_name("test.lock").read_bytes()
    said = production("model", "promote", "assistant", "--from", str(staging.path), "--yes", check=12)
    assert f"assistant {proven.digest[:16]} was not proven on any replica of staging" in said.err
    assert production.path.with_name("test.lock").read_bytes() == lock


def test_what_was_proven_there_runs_here_and_nothing_changes_there(
    staging: Operator, proven: Versions, production: Operator, model: Versions, lab: Lab
) -> None:
    staging("apply", "--yes")
    old, there = model.digest, staging.path.with_name("test.lock").read_bytes()
    kept = lab.exec("gate1", KEPT).out
    assert "control/" in kept
    shutil.copy(proven.file, model.file)
    asked = ("model", "promote", "assistant", "--from", str(staging.path), "--allow-outage", "--yes", "--json")
    said = production(*asked).json
    assert (said["changed"], said["models"]) == (["gpu2/assistant@1"], {"assistant": proven.digest})
    assert (model.digest, model.locked["previous"]["digest"]) == (proven.digest, old)
    assert production("plan", "--json").json["changed"] == 0
    assert staging.path.with_name("test.lock").read_bytes() == there
    assert lab.exec("gate1", KEPT).out == kept
