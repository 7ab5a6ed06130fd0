"""What stands at one path of a host."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

CONTENT_LIMIT = 200_000
"""Bytes: the content of a larger file isn't read for a diff."""


@dataclass(frozen=True)
class Found:
    """A path's state. `sha256` for regular files, `content` where it was asked for and is small enough."""

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
    """Given a path, return what stands there; None: nothing does. Links aren't followed."""

    def command(self, path: str, content: bool = False) -> str:
        read = f'[ "$(stat -c %s -- "$f")" -gt {CONTENT_LIMIT} ] || base64 -w 0 -- "$f"' if content else ":"
        return (
            f"f={shlex.quote(path)}; export LC_ALL=C; "
            'if [ -L "$f" ]; then stat -c "%F|%a|%U|%G" -- "$f"; '
            'elif [ -f "$f" ]; then stat -c "%F|%a|%U|%G" -- "$f" && sha256sum < "$f" && { ' + read + "; }; "
            'elif [ -e "$f" ]; then stat -c "%F|%a|%U|%G" -- "$f"; fi'
        )

    def process(self, output: list[str]) -> Found | None:
        kind, mode, user, group = output[0].split("|")
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
