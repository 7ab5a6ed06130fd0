"""A host's shell without a host: a real sh, on this machine, in folders that a test supplies."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.remote.completed import Completed
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.shell import FOLDER
from rackwright.values.targets import Target

Result = TypeVar("Result")


def without_curl(folder: Path) -> Path:
    """Put what scripts need, except curl, into the folder; return the folder, for use as PATH."""
    for name in ("sh", "mktemp", "rm"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


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


@dataclass
class FolderShell(LocalShell):
    """A host whose /var/lib/rackwright is a separate folder, with its gateway's files in a folder below."""

    var: str = ""
    clock_ahead: int = 0
    """By how many seconds its clock is ahead of this machine's."""

    def open(self) -> None:
        if self.gone:
            raise HostError("unreachable", where=self.name)

    def run(
        self, command: str, *, stdin: str | bytes | None = None, sudo: bool = True, timeout: float | None = 60
    ) -> Completed:
        command = command.replace(FOLDER, self.var).replace(GATEWAY, f"{self.var}/gateway")
        if self.clock_ahead:
            command = command.replace("date +%s", f"date -d '{self.clock_ahead} seconds' +%s")
        return super().run(command, stdin=stdin, sudo=sudo, timeout=timeout)

    @property
    def login_key(self) -> None:
        """It has no SSH login key."""


@dataclass(frozen=True)
class FolderHosts:
    """A stand-in for rackwright.remote.Remote: each host is a FolderShell."""

    shells: Mapping[str, FolderShell]

    def __call__(self, targets: Iterable[Target]) -> FolderHosts:
        """Return the hosts of these targets, when called in place of Remote's constructor."""
        return FolderHosts({target.name: self.shells[target.name] for target in targets})

    def connection(self, name: str) -> FolderShell:
        return self.shells[name]

    def run_on(self, names: Iterable[str], command: str) -> dict[str, Completed | HostError]:
        def run(name: str) -> Completed | HostError:
            try:
                return self.shells[name].run(command)
            except HostError as error:
                return error

        return self.each(names, run)

    def each(self, names: Iterable[str], work: Callable[[str], Result]) -> dict[str, Result]:
        return {name: work(name) for name in names}

    def __enter__(self) -> FolderHosts:
        return self

    def __exit__(self, *_: object) -> None: ...
