"""Machines of the heavy tests: each file has its own, which is removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.lab.vm import Vm
from tests.times.recorder import spent


@contextmanager
def fresh_vm(folder: Path) -> Iterator[Vm]:
    """A Debian that has just booted for the first time, from its own disk."""
    vm = Vm(folder)
    try:
        with spent("boots"):
            vm.up(print)
        yield vm
    finally:
        vm.down()
