"""Which files a folder has."""

from __future__ import annotations

import shlex

from pyinfra.api.facts import FactBase


class FilesBelow(FactBase[tuple[str, ...]]):
    """Given a folder, return the path in it of everything below that isn't a folder; none if it doesn't exist."""

    def command(self, path: str) -> str:
        return f"find {shlex.quote(path)} -mindepth 1 ! -type d -printf '%P\\n' 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(sorted(output))
