"""Hosts for the engine that are this machine's own shell, each with a folder as its disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.remote import Completed, Remote
from rackwright.remote.local import LocalTransport
from rackwright.values.targets import Target


class Shell(LocalTransport):
    """Runs commands on this machine without sudo. After `lives` commands, or from a matching one on, it is gone."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.is_root = True
        self.commands: list[str] = []
        self.lives: Callable[[str], bool] = lambda _command: True

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        self.commands.append(command)
        if not self.lives(command):
            raise HostError("the connection was lost while a command ran", where=self._host)
        return super().execute(command, stdin, timeout=timeout, limit=limit)


class Hosts:
    """Three hosts: a, b and c."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.shells = {name: Shell(name) for name in "abc"}
        self.away: set[str] = set()
        self.remote = Remote([Target(name, "@local") for name in "abc"], transport=self._transport)
        self.models = {name: {"disk": str(self.folder(name))} for name in "abc"}

    def folder(self, name: str) -> Path:
        (self.disk / name).mkdir(exist_ok=True)
        return self.disk / name

    def commands(self, name: str) -> int:
        """How many commands the host has got since the last call."""
        count = len(self.shells[name].commands)
        self.shells[name].commands.clear()
        return count

    def _transport(self, target: Target) -> Shell:
        if target.name in self.away:
            raise HostError("unreachable at 10.0.0.1 port 22: no answer", where=target.name)
        return self.shells[target.name]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path)
    with hosts.remote:
        yield hosts
