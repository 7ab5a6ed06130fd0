"""Drop-ins of units of ours: what stands beside the unit's file and is part of it."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation

from rackwright.operations.diff import show
from rackwright.operations.filesystem.file import write
from rackwright.operations.warnings import note


@operation()
def unit_drop_in(*, path: str, content: str) -> Generator[PyinfraCommand]:
    """Afterwards systemd has read this drop-in; a unit that runs goes on with what it was started with."""
    written = list(write(path=path, content=content))
    if written:
        yield StringCommand("mkdir -p --", QuoteString(path.rpartition("/")[0]))
        yield from written
        yield StringCommand("systemctl daemon-reload")


@operation()
def no_drop_in(*, path: str) -> Generator[PyinfraCommand]:
    """Afterwards the drop-in, which is known to be there, is gone, and systemd knows it."""
    show(f"- {path}")
    yield StringCommand("rm -f --", QuoteString(path))
    yield StringCommand("systemctl daemon-reload")


@operation()
def skipped(*, why: str) -> Generator[PyinfraCommand]:
    """Nothing is done, and the plan names why."""
    note(why)
    yield from ()
