"""restic that reads one repository of one host: on this machine, or on the host with the host's own secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import ceil
from shlex import join, quote
from typing import Protocol

from rackwright.errors import HostError, UsageError
from rackwright.fleet.backup_access import reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.reading.draft import Draft
from rackwright.lifecycle.backup.restic_here import OUTPUT_LIMIT, restic_here
from rackwright.remote.completed import Completed
from rackwright.remote.local import LocalTransport
from rackwright.remote.transport import Pipe
from rackwright.roles.backup.settings import FOLDER

SECONDS = 120
_GRACE = 15
"""Seconds after which a command that ignores its end is killed."""


class Shell(Protocol):
    """Where restic runs: a host's Connection, or this machine."""

    def run(self, command: str, *, timeout: float | None, limit: int) -> Completed: ...

    def pipe(self, command: str) -> Pipe: ...


@dataclass(frozen=True)
class Reader:
    """restic with one repository of one host. It only reads, and needs no lock for it."""

    host: str
    repository: str
    here: bool
    """Whether restic runs on this machine, not on the host. What a host reports may be false if it is not trusted."""
    folder: str | None
    """For a repository that is a folder: its path. It is usually on the host itself."""
    shell: Shell = field(repr=False)
    _restic: Callable[[], str] = field(repr=False)
    """Returns the shell command up to restic's own arguments, without secrets. It raises RackwrightError."""

    @property
    def name(self) -> str:
        """For people: the repository, and how it is read."""
        return f"{self.repository}, read {'from this machine' if self.here else f'on {self.host}'}"

    def command(self, *arguments: str, seconds: float = SECONDS) -> str:
        """Return a shell command that runs restic for at most this long.

        Raise RackwrightError if restic can't run there, or if a secret doesn't resolve.
        """
        limit = f"timeout --foreground -k {_GRACE} {ceil(seconds)}"
        return f"{limit} {self._restic()} {join([arguments[0], '--no-lock', *arguments[1:]])} </dev/null"

    def run(self, *arguments: str, seconds: float = SECONDS, limit: int = OUTPUT_LIMIT) -> Completed:
        """Run restic, and return its result with any exit status: 124 if it took longer than `seconds`.

        Raise RackwrightError as `command` does, HostError if the host is unreachable or restic prints more than
        `limit` bytes.
        """
        command = self.command(*arguments, seconds=seconds)
        return self.shell.run(command, timeout=seconds + 2 * _GRACE, limit=limit)

    def pipe(self, command: str) -> Pipe:
        """Start a shell command where restic runs, and return its output. The caller closes it."""
        return self.shell.pipe(command)


@dataclass(frozen=True)
class _ThisMachine:
    _where: str

    def run(self, command: str, *, timeout: float | None, limit: int) -> Completed:
        return LocalTransport(self._where).execute(command, [], timeout=timeout, limit=limit)

    def pipe(self, command: str) -> Pipe:
        return LocalTransport(self._where).pipe(command)


@contextmanager
def readers(fleet: Fleet, host: str, shell: Shell | None, *, only: str | None = None) -> Iterator[tuple[Reader, ...]]:
    """Yield all ways to read the host's repositories, in the fleet file's order; none is tried yet.

    A server is read from this machine first, because a host that isn't trusted could report anything; a folder is
    read on the host first. `shell` runs commands on the host as root; None: not through the host. `only` names the
    one repository to read. Raise UsageError if there is no such repository or no backup, or if no host can have that
    name.
    """
    asked = fleet.file.backup.to if fleet.file.backup else ()
    if not asked:
        raise UsageError("the fleet file sets no backup", where="backup", should="this command needs one")
    if not Draft.is_name(host):
        raise UsageError("can't be a host's name", where=host, should="should be a name like gate1")
    names = tuple(one.name for one in asked)
    if only is not None and only not in names:
        raise UsageError("no repository of that name", where=only, should=f"should be one of {', '.join(names)}")
    with ExitStack() as stack:
        made: list[Reader] = []
        for one in (one for one in asked if only in (None, one.name)):
            folder = one.of(host).url if one.kind == "path" else None
            ways = [_from_here(stack, fleet, host, one.name, folder)]
            if shell:
                ways.insert(0 if folder else 1, _on_host(shell, host, one.name, folder))
            made += ways
        yield tuple(made)


def _from_here(stack: ExitStack, fleet: Fleet, host: str, name: str, folder: str | None) -> Reader:
    @cache
    def restic() -> str:
        made = stack.enter_context(restic_here(*reached_from_here(fleet, host, name)))
        return made.command().strip()

    return Reader(host, name, True, folder, _ThisMachine(name), restic)


def _on_host(shell: Shell, host: str, name: str, folder: str | None) -> Reader:
    script, values = f"{FOLDER}/restic.sh", f"{FOLDER}/{name}.values"

    @cache
    def restic() -> str:
        look = f"if [ -e {quote(script)} ] && [ -e {quote(values)} ]; then echo yes; fi"
        answer = shell.run(look, timeout=60, limit=OUTPUT_LIMIT).check(f"looking for {script}")
        if answer.stdout != "yes\n":
            raise HostError(f"isn't set up for the repository {name}", where=host, next=f"rackwright apply -l {host}")
        return f"{script} {quote(name)}"

    return Reader(host, name, False, folder, shell, restic)
