"""The state of one path on a host."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.operations.filesystem.path_questions import PathQuestion


@dataclass(frozen=True)
class Found:
    """A path's state. `sha256` is set for regular files, `content` if it is short and not the expected one."""

    kind: str
    """As `stat -c %F` prints it: "regular file", "regular empty file", "directory", "symbolic link"."""
    mode: int
    user: str
    group: str
    sha256: str | None = None
    content: bytes | None = None

    @property
    def is_file(self) -> bool:
        return self.kind.startswith("regular")


class PathState(FactBase[Found | None]):
    """Given a path, return its state; None if it doesn't exist. Links aren't followed.

    A file's content is read only if `unless` is given and isn't its sha256.
    """

    def command(self, path: str, unless: str | None = None) -> str:
        return PathQuestion(path, unless).command

    def process(self, output: list[str]) -> Found | None:
        kind, mode, user, group, _ = output[0].split("|")
        sha256 = output[1].split()[0] if len(output) > 1 else None
        content = base64.b64decode(output[2]) if len(output) > 2 else None
        if kind == "regular empty file":
            content = b""
        return Found(kind, int(mode, 8), user, group, sha256, content)


class Existing(FactBase[tuple[str, ...]]):
    """Given paths, return those that exist, including dangling links."""

    def command(self, paths: tuple[str, ...]) -> str:
        listed = " ".join(shlex.quote(path) for path in paths)
        return f'for f in {listed}; do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\\n" "$f"; fi; done'

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)
