"""A folder that is created with its mode and owner."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.path_state import PathState


@operation()
def folder(*, path: str, mode: str = "0755", user: str = "root", group: str = "root") -> Generator[PyinfraCommand]:
    """Ensure that the folder exists with this mode and owner. Missing parents get mode 0755 and belong to root."""
    found = host.get_fact(PathState, path=path)
    if found and found.kind == "directory" and (found.mode, found.user, found.group) == (int(mode, 8), user, group):
        return
    yield StringCommand(
        *("install", "-d", "-m", QuoteString(mode), "-o", QuoteString(user), "-g", QuoteString(group)),
        *("--", QuoteString(path)),
    )
