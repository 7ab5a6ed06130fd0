"""One lab for the files that leave its hosts as they found them. What breaks a host uses a spare and mends it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.labs import fresh_lab

_LONGEST = ("test_backup", "test_interrupted", "test_life")
HOSTS = ("gate1", "gpu1", "gpu2", "spare1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONGEST))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """gate1, gpu1, gpu2 and spare1, up and fresh."""
    with fresh_lab(os.environ.get("PYTEST_XDIST_WORKER", "alone"), *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="session")
def lab_fleet(lab: Lab) -> LabFleet:
    return lab.fleet()
