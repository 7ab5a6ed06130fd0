"""Removal of paths."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.path_state import Existing


@operation()
def absent(*, paths: tuple[str, ...], restart: str | None = None) -> Generator[PyinfraCommand]:
    """Remove these paths, folders with their content, without crossing into other file systems.

    `restart` is the unit that reads them; it is restarted if it runs.
    """
    found = host.get_fact(Existing, paths=paths) if paths else ()
    if found:
        yield StringCommand("rm -rf --one-file-system --", *(QuoteString(path) for path in found))
    if found and restart:
        yield StringCommand("systemctl try-restart --", QuoteString(restart))
