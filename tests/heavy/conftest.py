"""A machine for each test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.vm import Vm
from tests.heavy.machines import fresh_vm


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vm]:
    with fresh_vm(tmp_path_factory.mktemp("vm") / "machine") as vm:
        yield vm
