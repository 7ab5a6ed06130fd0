"""Several hosts at once, one connection each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeVar

from rackwright.errors import HostError, UsageError, together
from rackwright.remote.background import Background
from rackwright.remote.completed import Completed
from rackwright.remote.connection import Connection, Counters, open_transport
from rackwright.remote.jumps import Jumps
from rackwright.remote.transport import OUTPUT_LIMIT, Transport
from rackwright.values.targets import Target

Result = TypeVar("Result")

PARALLEL = 64
"""Number of hosts that are processed at the same time."""


class Remote:
    """The connections of one rackwright command to its hosts. A context manager that closes them at its end."""

    def __init__(self, targets: Iterable[Target], *, transport: Callable[[Target], Transport] | None = None) -> None:
        self._jumps = Jumps()
        make = transport or partial(open_transport, jumps=self._jumps)
        self._connections = {target.name: Connection(target, transport=make) for target in targets}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._connections)

    @property
    def counters(self) -> dict[str, Counters]:
        """Return the commands and bytes of each host so far."""
        return {name: connection.counters for name, connection in self._connections.items()}

    def connection(self, name: str) -> Connection:
        """Return the host's connection, open or not. Raise UsageError if there is no such host."""
        if name not in self._connections:
            raise UsageError(f"no host {name}", should=f"the hosts are: {', '.join(self._connections)}")
        return self._connections[name]

    def run_on(
        self,
        names: Iterable[str],
        command: str | Mapping[str, str],
        *,
        stdin: str | bytes | None = None,
        sudo: bool = True,
        timeout: float | None = 60,
        limit: int = OUTPUT_LIMIT,
    ) -> dict[str, Completed | HostError]:
        """Run one command, or each host's own, on all hosts in parallel; return the results by host.

        If a signal ended a command, its result is a HostError, because its output may be incomplete; so it is if the
        command printed more than `limit` bytes.
        """

        def run(name: str) -> Completed | HostError:
            text = command if isinstance(command, str) else command[name]
            try:
                done = self.connection(name).run(text, stdin=stdin, sudo=sudo, timeout=timeout, limit=limit)
                return done.whole("a rackwright command")
            except HostError as error:
                return error

        return self.each(names, run)

    def each(self, names: Iterable[str], work: Callable[[str], Result]) -> dict[str, Result]:
        """Do the work for every host in parallel and return the results by host when all have finished.

        Raise the error that the work raised; if there were several, one error with all their problems (`together`).
        """
        from gevent.pool import Pool

        ordered = list(dict.fromkeys(names))
        pool = Pool(PARALLEL)
        # After an error, wait for the other hosts: a greenlet killed here leaves its command running there, unseen.
        greenlets = [pool.spawn(_outcome, work, name) for name in ordered]
        try:
            done = {name: greenlet.get() for name, greenlet in zip(ordered, greenlets, strict=True)}
        finally:
            pool.kill()
        if errors := [one.error for one in done.values() if isinstance(one, _Failed)]:
            raise together(errors)
        return {name: one for name, one in done.items() if not isinstance(one, _Failed)}

    def open_ahead(self, names: Iterable[str]) -> None:
        """Start to connect to these hosts in the background. An unreachable host raises no error until it is used."""
        for name in names:
            Background(partial(_try_to_open, self.connection(name)))

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._jumps.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Failed:
    error: Exception


def _outcome(work: Callable[[str], Result], name: str) -> Result | _Failed:
    try:
        return work(name)
    except Exception as error:
        return _Failed(error)


def _try_to_open(connection: Connection) -> None:
    with suppress(HostError):
        connection.open()
