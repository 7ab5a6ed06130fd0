"""A machine for each test file, and which files start first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.vm import Vm
from tests.heavy.machines import fresh_vm

_FIRST = (
    "members",
    "under_load",
    "canary",
    "update_failures",
    "update_kills",
    "vip",
    "vllm_states",
    "vllm",
    "driver",
    "p2p",
    "bench",
    "attacks",
    "driver_builds",
)
"""The order of files without a recorded duration: the longest first, next to it those that wait more than they
compute, and nothing long at the end, which would keep one worker busy while the other is idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return _FIRST.index(name) if item.path.parent == Path(__file__).parent and name in _FIRST else len(_FIRST)


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vm]:
    with fresh_vm(tmp_path_factory.mktemp("vm") / "machine") as vm:
        yield vm
