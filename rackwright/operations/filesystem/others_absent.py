"""Ensure that a folder has no other files than these."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show


class FilesBelow(FactBase[tuple[str, ...]]):
    """Given a folder, return the path in it of everything below that isn't a folder; none if it doesn't exist."""

    def command(self, path: str) -> str:
        return f"find {shlex.quote(path)} -mindepth 1 ! -type d -printf '%P\\n' 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(sorted(output))


@operation()
def others_absent(*, folder: str, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove each file in the folder, and in those within it, whose path in the folder isn't in `keep`."""
    gone = [f"{folder}/{name}" for name in host.get_fact(FilesBelow, path=folder) if name not in keep]
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand("rm -f --", *(QuoteString(path) for path in gone))
