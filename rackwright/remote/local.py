"""The machine that rackwright runs on, as a host: subprocesses instead of SSH."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from typing import IO

from rackwright.errors import HostError
from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.remote.transport import Collected


class LocalTransport:
    def __init__(self, host: str) -> None:
        self._host = host
        self.is_root = os.geteuid() == 0
        self.login_key: str | None = None

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        deadline = None if timeout is None else time.monotonic() + timeout
        # In its own session: Ctrl-C interrupts rackwright, while the running operation finishes.
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        ) as process:
            assert process.stdin  # noqa: S101
            assert process.stdout  # noqa: S101
            assert process.stderr  # noqa: S101
            pipes = (process.stdout, process.stderr)
            # Each reader closes its own. A process in another session may keep a pipe open after a timeout. If `with`
            # closed it while its reader waits, and the kernel restarted that read, it would take what a later command
            # prints to a pipe with the same descriptor.
            process.stdout = process.stderr = None
            timer = threading.Timer(timeout or 0, _kill, [process])
            if timeout is not None:
                timer.start()
            streams = [Collected(pipe.read, limit, lambda: _kill(process), pipe.close) for pipe in pipes]
            try:
                _feed(process.stdin, stdin)
                ended = all(stream.ended(deadline) for stream in streams)
            finally:
                timer.cancel()
            if not ended or (deadline and time.monotonic() >= deadline):
                _kill(process)
                raise CommandTimeout(f"a command didn't finish within {timeout:g} s", where=self._host)
            status = process.wait()
        if any(stream.overflown for stream in streams):
            raise HostError(f"a command printed more than {limit} bytes", where=self._host)
        return Completed(max(status, -1), streams[0].content, streams[1].content, self._host)

    def pipe(self, command: str) -> LocalPipe:
        return LocalPipe(command)

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: no connection is open between commands."""


class LocalPipe:
    """A command on this machine: its standard input and output as one stream."""

    def __init__(self, command: str) -> None:
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._stream = ours

    def sendall(self, content: bytes) -> None:
        self._stream.sendall(content)

    def recv(self, size: int) -> bytes:
        return self._stream.recv(size)

    def shutdown_write(self) -> None:
        self._stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._stream.close()
        _kill(self._process)
        self._process.wait()


def _feed(pipe: IO[bytes], content: Iterable[bytes]) -> None:
    try:
        for chunk in content:
            view = memoryview(chunk)
            while view:
                view = view[pipe.write(view) or 0 :]
    except BrokenPipeError:
        return
    finally:
        pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.poll()
