"""A host's shell without a host: real sh, on this machine, in folders that a test hands in."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from rackwright.errors import HostError
from rackwright.remote.completed import Completed


@dataclass
class LocalShell:
    name: str = "gate1"
    gone: bool = False
    commands: list[str] = field(default_factory=list)

    def run(
        self, command: str, *, stdin: str | bytes | None = None, sudo: bool = True, timeout: float | None = 60
    ) -> Completed:
        if self.gone:
            raise HostError("unreachable", where=self.name)
        self.commands.append(command)
        content = stdin.encode() if isinstance(stdin, str) else stdin or b""
        done = subprocess.run(["sh", "-c", command], input=content, capture_output=True, timeout=timeout, check=False)
        return Completed(done.returncode, done.stdout, done.stderr, self.name)
