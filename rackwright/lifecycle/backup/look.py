"""Open a host's repositories for reading, choose a snapshot, and go on to the next repository if one is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.choose import Chosen, choose
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.remote.completed import Completed
from rackwright.remote.transport import Pipe
from rackwright.state.formats import utc_now

if TYPE_CHECKING:
    from rackwright.remote import Remote

Result = TypeVar("Result")


@contextmanager
def repositories_of(fleet: Fleet, host: str, only: str | None = None) -> Iterator[tuple[Reader, ...]]:
    """Yield all ways to read the host's repositories, as `readers` does. The host is asked only if it must be.

    The fleet file need not name the host any more. Raise UsageError as `readers` does.
    """
    shell = _WhenAsked(fleet, host) if host in fleet.hosts else None
    try:
        with readers(fleet, host, shell, only=only) as ways:
            yield ways
    finally:
        if shell:
            shell.close()


def read_chosen(
    ways: tuple[Reader, ...], fleet: Fleet, work: Callable[[Chosen], Result], at: At = NEWEST
) -> tuple[Chosen, Result]:
    """Choose a snapshot as `choose` does, and return it with the result of `work`.

    If `work` raises HostError, the snapshot's repository is passed over, and the next one is used. Raise what
    `choose` and `work` raise.
    """
    damaged: dict[str, str] = {}
    while True:
        chosen = choose(ways, fleet.file.fleet, utc_now(), at, damaged=damaged)
        try:
            return chosen, work(chosen)
        except HostError as error:
            damaged[chosen.reader.repository] = f"{chosen.snapshot.id[:8]}: {error.problems[0].what}"


class _WhenAsked:
    """A host that is connected to when the first command runs there."""

    def __init__(self, fleet: Fleet, host: str) -> None:
        self._fleet, self._host = fleet, host

    @cached_property
    def _remote(self) -> Remote:
        from rackwright.remote import Remote

        return Remote(targets(self._fleet, (self._host,)))

    def run(self, command: str, *, timeout: float | None, limit: int) -> Completed:
        return self._remote.connection(self._host).run(command, timeout=timeout, limit=limit)

    def pipe(self, command: str) -> Pipe:
        return self._remote.connection(self._host).pipe(command)

    def close(self) -> None:
        if "_remote" in self.__dict__:
            self._remote.close()
