"""One way to run a shell command somewhere: the contract, and how its output is collected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from rackwright.remote.completed import Completed

OUTPUT_LIMIT = 64 * 2**20
"""Bytes that one command may print on each of stdout and stderr."""
STALL_SECONDS = 300
"""A host that takes no byte of what is sent for so long is given up."""


class Pipe(Protocol):
    """A command that runs: its standard input and output as one stream."""

    def sendall(self, content: bytes, /) -> object: ...

    def recv(self, size: int, /) -> bytes:
        """Return what it printed next, at most so many bytes; none when it has ended."""

    def shutdown_write(self) -> None:
        """Its standard input ends."""

    def close(self) -> None: ...


class Transport(Protocol):
    is_root: bool
    login_key: str | None
    """Fingerprint (SHA256:…) of the SSH key that we are logged in with; None without one."""

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        """Run the command in a shell, feed it `stdin`, and return what it came to.

        Raise CommandTimeout after `timeout` seconds, HostError if the connection is lost or more than `limit`
        bytes are printed.
        """

    def pipe(self, command: str) -> Pipe:
        """Start the command in a shell. Raise HostError if the host starts no further one over this connection."""

    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Collected:
    """Reads a stream to its end in a thread of its own, so that neither of two full pipes blocks the other."""

    def __init__(self, read: Callable[[int], bytes], limit: int, overflow: Callable[[], None]) -> None:
        self._read, self._limit, self._overflow = read, limit, overflow
        self._chunks: list[bytes] = []
        self.size = 0
        self.overflown = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
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
