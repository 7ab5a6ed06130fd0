"""What stands at one path of a host."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.operations.filesystem.path_questions import PathQuestion


@dataclass(frozen=True)
class Found:
    """A path's state. `sha256` for regular files, `content` where it is another than was asked for, and short."""

    kind: str
    """As `stat -c %F` names it: "regular file", "regular empty file", "directory", "symbolic link"."""
    mode: int
    user: str
    group: str
    sha256: str | None = None
    content: bytes | None = None

    @property
    def is_file(self) -> bool:
        return self.kind.startswith("regular")


class PathState(FactBase[Found | None]):
    """Given a path, return what stands there; None: nothing does. Links aren't followed.

    The content of a file is read unless its sha256 is `unless`; without that it isn't read at all.
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
    """Given paths, return those where something stands, dangling links included."""

    def command(self, paths: tuple[str, ...]) -> str:
        listed = " ".join(shlex.quote(path) for path in paths)
        return f'for f in {listed}; do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\\n" "$f"; fi; done'

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)
