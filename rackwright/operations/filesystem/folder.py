"""A folder born with its mode and owner."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.path_state import PathState


@operation()
def folder(*, path: str, mode: str = "0755", user: str = "root", group: str = "root") -> Generator[PyinfraCommand]:
    """Afterwards the folder is there with this mode and owner; missing parents are made 0755, as root's."""
    found = host.get_fact(PathState, path=path)
    if found and found.kind == "directory" and (found.mode, found.user, found.group) == (int(mode, 8), user, group):
        return
    yield StringCommand(
        *("install", "-d", "-m", QuoteString(mode), "-o", QuoteString(user), "-g", QuoteString(group)),
        *("--", QuoteString(path)),
    )
