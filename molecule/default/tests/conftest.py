"""The scenario's hosts for pytest-testinfra, over the same SSH that rackwright uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from rackwright.fleet.load import load_fleet
from rackwright.fleet.targets import target

FLEET = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "inventory" / "molecule.yml"


def connect(name: str) -> Host:
    reached = target(load_fleet(FLEET), name)
    return testinfra.get_host(
        f"ssh://{reached.user}@{reached.address}",
        sudo=True,
        ssh_identity_file=str(reached.key),
        ssh_extra_args=f"-o UserKnownHostsFile={reached.known_hosts}",
    )


@pytest.fixture(scope="session")
def gate1() -> Host:
    return connect("gate1")


@pytest.fixture(scope="session")
def gpu1() -> Host:
    return connect("gpu1")
