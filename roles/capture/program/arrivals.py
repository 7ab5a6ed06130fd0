"""What HAProxy sends: requests, and how many copies it dropped."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

MOST_HEAD = 1024
WAITING = 16
"""How many requests wait to be redacted; then HAProxy's copies wait, and are dropped there."""
PAUSE = 0.1
"""Seconds until a connection is accepted again, after it couldn't be."""
DROPPED = {"large", "full", "fault", "undelivered"}
"""Why HAProxy drops copies."""


@dataclass
class Recorded:
    """A request as it arrived."""

    arrived: float
    id: str
    key: str
    path: str
    model: str
    body: bytes = field(repr=False)


class Arrivals:
    """A queue that one thread per connection fills, and the main thread empties."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of the largest body."""
        self._most = most
        self._queue: queue.Queue[Recorded | Counter[str]] = queue.Queue(WAITING)

    def listen(self, listener: socket.socket) -> None:
        """Take what connections send, for good. If there is no descriptor or thread for one, later ones are taken."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                time.sleep(PAUSE)
                continue
            try:
                threading.Thread(target=self._receive, args=(connection,), daemon=True).start()
            except RuntimeError:
                connection.close()

    def next(self, seconds: float) -> Recorded | Counter[str] | None:
        """Return a request, or what HAProxy dropped; None if nothing arrives in this time."""
        try:
            return self._queue.get(timeout=seconds) if seconds else self._queue.get_nowait()
        except queue.Empty:
            return None

    def _receive(self, connection: socket.socket) -> None:
        """Take what one connection sends. Anything unexpected closes it: HAProxy counts that as not delivered."""
        with connection, connection.makefile("rb") as stream, suppress(OSError, ValueError):
            while words := stream.readline(MOST_HEAD).decode("ascii").split():
                if words == ["end"]:
                    connection.sendall(b"ok\n")
                    continue
                self._queue.put(_understood(words, stream, self._most))


def _understood(words: list[str], stream: BinaryIO, most: int) -> Recorded | Counter[str]:
    """Return what the line says, with the body that follows. Raise ValueError for anything else."""
    if words[0] == "dropped":
        _, why, count = words
        return Counter({why if why in DROPPED else "fault": int(count)})
    _, arrived, id, key, path, model, size = words
    if words[0] != "request" or not 0 <= int(size) <= most:
        raise ValueError
    body = stream.read(int(size))
    if len(body) != int(size):
        raise ValueError
    return Recorded(float(arrived), id, key, path, model, body)
