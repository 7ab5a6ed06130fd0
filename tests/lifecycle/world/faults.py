"""Runs that end at one of many moments: just before or after something is written or done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rackwright.errors import HostError
from tests.lifecycle.world.world import Killed, World


@dataclass(frozen=True)
class Fault:
    """A fault at the n-th write to the control host, or (`change`) after the n-th change of hosts and gateways."""

    number: int
    written: bool = True
    change: bool = False
    dies: bool = True
    """If false: the control host is unreachable for this one write, although the write may have succeeded."""

    def __str__(self) -> str:
        when = "after" if self.written else "before"
        return f"{'killed' if self.dies else 'failed'} {when} {'change' if self.change else 'write'} {self.number}"


@contextmanager
def counted(world: World) -> Iterator[list[Fault]]:
    """Yield the faults that the block could have had; the list is complete when the block has ended."""
    faults: list[Fault] = []
    writes, changes = world.control.writes, len(world.changes)
    yield faults
    for number in range(1, world.control.writes - writes + 1):
        faults += [Fault(number, written, dies=dies) for written in (False, True) for dies in (True, False)]
    faults += [Fault(number, change=True) for number in range(1, len(world.changes) - changes + 1)]


@contextmanager
def failing(world: World, fault: Fault | None) -> Iterator[None]:
    """Inject the fault once within the block."""
    writes, changes = world.control.writes, len(world.changes)

    def end() -> None:
        if fault and not fault.dies:
            raise HostError("unreachable", where="gate1")
        world.process.dead = True
        raise Killed

    def at_write(number: int, written: bool) -> None:
        if fault and not fault.change and (number - writes, written) == (fault.number, fault.written):
            end()

    def at_change(number: int) -> None:
        if fault and fault.change and number - changes == fault.number:
            end()

    world.control.fault, world.fault = at_write, at_change
    try:
        yield
    finally:
        world.control.fault, world.fault = lambda number, written: None, lambda number: None
