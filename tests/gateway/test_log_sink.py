"""The stand-in for journald: what one stack's sink reads never comes from another's socket."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from tests.gateway.log_sink import LogSink


def test_a_closed_sink_reads_no_more(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    sink = LogSink(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as writer:
        writer.sendto(b"<134>Nov 29 22:08:10 rackwright-access[1204]: {}\n", str(tmp_path / "log"))
    sink.close()
    # A thread that still waits in recv(2) takes a datagram of whoever gets its descriptor's number.
    assert set(threading.enumerate()) <= before
    assert sink.lines == ["{}"]
