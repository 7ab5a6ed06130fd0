"""One lab for the whole session; a test that breaks a host uses a spare and mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab, LabFleet, LabSpec

NAME = "test"
HOSTS = ("gate1", "gpu1", "gpu2", "spare1")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """gate1, gpu1, gpu2 and spare1, up and fresh."""
    lab = Lab(NAME)
    lab.down()
    lab.up(LabSpec(hosts=HOSTS))
    yield lab
    lab.down()


@pytest.fixture(scope="session")
def lab_fleet(lab: Lab) -> LabFleet:
    return lab.fleet()
