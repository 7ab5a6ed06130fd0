"""The access lines that a gateway writes to journald."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import AbstractContextManager
from pathlib import Path

from rackwright.roles.gateway.access_log import Access, parse_access
from tests.waiting import wait_until


class LogSink:
    """Listens in journald's place and keeps the access lines."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self._reading = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        while message := self._socket.recv(65536).decode():
            match = re.search(r"rackwright-access\[\d+\]: (.*)", message, re.DOTALL)
            with self._reading:
                self.lines += [match[1].rstrip("\n")] if match else []

    def line(self, request: str) -> Access:
        """Return the line of this request once it is written."""
        wait_until(lambda: any(request in line for line in self.lines))
        return parse_access(next(line for line in self.lines if request in line))

    def log(self, line: str) -> None:
        """Send a line as a gateway does; it arrives after everything that was sent before."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"<134>rackwright-access[1]: {line}\n".encode(), self._socket.getsockname())

    def paused(self) -> AbstractContextManager[object]:
        """Within the block, read at most one more message. The kernel queues some (net.unix.max_dgram_qlen)."""
        return self._reading

    def close(self) -> None:
        """Stop reading, then close.

        A thread that waits in recv(2) isn't woken by close(). When the kernel restarts its call, which happens while
        this process starts others, the next sink may have the descriptor's number, and would lose a line to it.
        """
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()
