"""A real socat between real sockets on this machine, which acts as the host."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.remote.connection import Connection
from rackwright.remote.forward import SESSIONS, forwarded
from rackwright.values.targets import Target

HERE = Target("gpu1", "@local")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """A socket whose owner answers each line in capitals, and closes a connection at "bye"."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        accepting = threading.Thread(target=_answer, args=(listener,), daemon=True)
        accepting.start()
        yield path
        # close() doesn't wake a thread that waits in accept(); it would take connections of the next listener.
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _answer(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, client.makefile("rwb") as stream:
        for line in stream:
            if line == b"bye\n":
                return
            stream.write(line.upper())
            stream.flush()


def opened(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(path))
    return client


def asked(client: socket.socket, line: str) -> str:
    client.sendall(line.encode() + b"\n")
    return client.recv(100).decode().strip()


def test_what_is_said_here_is_heard_there_and_the_answer_comes_back(engine):
    with forwarded(HERE, str(engine)) as path, opened(path) as client:
        assert asked(client, "hello") == "HELLO"
        assert asked(client, "and again") == "AND AGAIN"


def test_the_socket_is_for_this_user_alone_and_gone_afterwards(engine):
    with forwarded(HERE, str(engine)) as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_an_end_on_the_hosts_side_is_an_end_here(engine):
    with forwarded(HERE, str(engine)) as path, opened(path) as client:
        client.sendall(b"bye\n")
        assert client.recv(100) == b""


def test_a_socket_that_is_not_there_shows_as_a_closed_connection(tmp_path):
    with forwarded(HERE, str(tmp_path / "none.sock")) as path, opened(path) as client:
        assert client.recv(100) == b""


def test_many_at_once_take_as_many_ssh_connections_as_sshd_lets_them(engine):
    made: list[Connection] = []

    def connect(target: Target) -> Connection:
        made.append(Connection(target))
        return made[-1]

    with forwarded(HERE, str(engine), connect=connect) as path:
        clients = [opened(path) for _ in range(SESSIONS + 1)]
        assert [asked(client, f"line {number}") for number, client in enumerate(clients)] == [
            f"LINE {number}" for number in range(SESSIONS + 1)
        ]
        for client in clients:
            client.close()
    assert [connection.counters.commands for connection in made] == [SESSIONS, 1]


def test_a_host_out_of_reach_closes_the_connection(engine):
    def unreachable(target: Target) -> Connection:
        raise HostError("unreachable", where=target.name)

    with forwarded(HERE, str(engine), connect=unreachable) as path, opened(path) as client:
        assert client.recv(100) == b""
