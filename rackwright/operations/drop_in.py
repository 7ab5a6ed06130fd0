"""Drop-in files of our units."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation

from rackwright.operations.diff import show
from rackwright.operations.filesystem.file import write
from rackwright.operations.plan_notes import note


@operation()
def unit_drop_in(*, path: str, content: str) -> Generator[PyinfraCommand]:
    """Ensure that systemd has read this drop-in. A running unit keeps the settings with which it was started."""
    written = list(write(path=path, content=content))
    if written:
        yield StringCommand("mkdir -p --", QuoteString(path.rpartition("/")[0]))
        yield from written
        yield StringCommand("systemctl daemon-reload")


@operation()
def no_drop_in(*, path: str) -> Generator[PyinfraCommand]:
    """Remove the drop-in, which is known to exist, and reload systemd."""
    show(f"- {path}")
    yield StringCommand("rm -f --", QuoteString(path))
    yield StringCommand("systemctl daemon-reload")


@operation()
def skipped(*, why: str) -> Generator[PyinfraCommand]:
    """Do nothing, and show the reason in the plan."""
    note(why)
    yield from ()
