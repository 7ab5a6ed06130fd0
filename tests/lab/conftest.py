"""One lab for files that leave its hosts unchanged. A test that breaks a host uses a spare one and repairs it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.labs import fresh_lab

HOSTS = ("gate1", "gpu1", "gpu2", "spare1")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """gate1, gpu1, gpu2 and spare1, up and fresh."""
    with fresh_lab(os.environ.get("PYTEST_XDIST_WORKER", "alone"), *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="session")
def lab_fleet(lab: Lab) -> LabFleet:
    return lab.fleet()
