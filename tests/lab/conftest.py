"""One lab for the whole session; a test that breaks a host uses a spare and mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab, LabFleet, LabSpec

NAME = "test"
HOSTS = ("gate1", "gpu1", "gpu2", "spare1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole fleets come last: they leave a packet filter and services on the hosts."""
    items.sort(key=lambda item: ("test_life" in item.nodeid) + 2 * ("test_local" in item.nodeid))


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
