"""Forward a socket on this machine over SSH to a socket on a host, for programs there that have no network."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from rackwright.errors import HostError
from rackwright.remote.connection import Connection
from rackwright.remote.transport import Pipe
from rackwright.values.targets import Target

SESSIONS = 8
"""Concurrent sessions over one SSH connection; sshd allows ten (sshd_config, MaxSessions)."""
_CHUNK = 65536


@contextmanager
def forwarded(target: Target, path: str, *, connect: Callable[[Target], Connection] = Connection) -> Iterator[Path]:
    """Within the block, forward a Unix socket on this machine, for this user only, to the host's socket at `path`.

    socat connects on the host, as root. If the host refuses a connection, the client's connection is closed.
    """
    lines = _Lines(lambda: connect(target), f"exec socat - UNIX-CONNECT:{quote(path)}")
    with tempfile.TemporaryDirectory(prefix="rackwright-") as folder, socket.socket(socket.AF_UNIX) as listener:
        local = Path(folder, "socket")
        listener.bind(str(local))
        listener.listen(128)
        threading.Thread(target=_accept, args=(listener, lines), daemon=True).start()
        try:
            yield local
        finally:
            # A thread that waits in accept() isn't woken by close().
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            lines.close()


class _Lines:
    """Concurrent runs of one command on the host, over as many SSH connections as needed."""

    def __init__(self, connect: Callable[[], Connection], command: str) -> None:
        self._connect, self._command = connect, command
        self._lock = threading.Lock()
        self._running: dict[Connection, int] = {}

    @contextmanager
    def line(self) -> Iterator[Pipe]:
        with self._lock:
            free = (connection for connection, count in self._running.items() if count < SESSIONS)
            connection = next(free, None) or self._connect()
            self._running[connection] = self._running.get(connection, 0) + 1
        try:
            pipe = connection.pipe(self._command)
            try:
                yield pipe
            finally:
                pipe.close()
        finally:
            with self._lock:
                self._running[connection] -= 1

    def close(self) -> None:
        with self._lock:
            for connection in self._running:
                connection.close()


def _accept(listener: socket.socket, lines: _Lines) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, lines), daemon=True).start()


def _serve(client: socket.socket, lines: _Lines) -> None:
    with client, suppress(HostError, OSError), lines.line() as pipe:
        back = threading.Thread(target=_copy, args=(pipe.recv, client.sendall, client), daemon=True)
        back.start()
        _send(client, pipe)
        back.join()


def _send(client: socket.socket, pipe: Pipe) -> None:
    with suppress(OSError):
        while content := client.recv(_CHUNK):
            pipe.sendall(content)
        pipe.shutdown_write()


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], object], client: socket.socket) -> None:
    """Copy until the host's side ends, then end the client's connection too, so that neither side waits forever."""
    with suppress(OSError):
        while content := read(_CHUNK):
            write(content)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
