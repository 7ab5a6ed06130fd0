"""Ensure that a folder has no other files than these."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.files_below import FilesBelow


@operation()
def others_absent(*, folder: str, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove each file in the folder, and in those within it, whose path in the folder isn't in `keep`."""
    gone = [f"{folder}/{name}" for name in host.get_fact(FilesBelow, path=folder) if name not in keep]
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand("rm -f --", *(QuoteString(path) for path in gone))
