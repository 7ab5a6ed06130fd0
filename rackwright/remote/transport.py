"""The interface of everything that runs shell commands on a host, and the collection of their output."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from rackwright.remote.completed import Completed

OUTPUT_LIMIT = 64 * 2**20
"""Most bytes that one command may print on each of stdout and stderr."""
STALL_SECONDS = 300
"""A host that reads none of the sent bytes for this long counts as lost."""


class Pipe(Protocol):
    """A running command: its standard input and output as one stream."""

    def sendall(self, content: bytes, /) -> object: ...

    def recv(self, size: int, /) -> bytes:
        """Return the next output, at most `size` bytes; empty when the command has ended."""

    def shutdown_write(self) -> None:
        """Close the command's standard input."""

    def close(self) -> None: ...


class Transport(Protocol):
    is_root: bool
    login_key: str | None
    """Fingerprint (SHA256:…) of the SSH key used to log in; None without one."""

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        """Run the command in a shell, feed it `stdin`, and return its result.

        Raise CommandTimeout after `timeout` seconds, HostError if the connection is lost or the command prints more
        than `limit` bytes.
        """

    def pipe(self, command: str) -> Pipe:
        """Start the command in a shell. Raise HostError if the connection accepts no further command."""

    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Collected:
    """Reads a stream to its end in its own thread, so that a full stdout pipe can't block stderr, or vice versa.

    `close`: what the thread does last.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        limit: int,
        overflow: Callable[[], None],
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self._read, self._limit, self._overflow, self._close = read, limit, overflow, close
        self._chunks: list[bytes] = []
        self.size = 0
        self.overflown = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        try:
            self._collect_all()
        finally:
            self._close()

    def _collect_all(self) -> None:
        while chunk := self._next():
            self.size += len(chunk)
            if self.size > self._limit:
                self.overflown = True
                self._overflow()
                return
            self._chunks.append(chunk)

    def _next(self) -> bytes:
        while True:
            try:
                return self._read(65536) or b""
            except TimeoutError:
                continue
            except (OSError, ValueError):
                return b""

    def ended(self, deadline: float | None) -> bool:
        """Wait until the stream ends or the deadline passes; return whether it ended."""
        self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def content(self) -> bytes:
        return b"".join(self._chunks)
