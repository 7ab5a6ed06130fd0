"""What clients without a key can take from a gateway: little memory, for a short time, and not what others need."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.gateway.stack import KEYS, Stack, eventually, running_stack

IN_EACH_STATE = 300
KB_EACH = 100
"""Resident memory per connection: TLS takes 35 KB, incomplete headers up to 64 KiB."""
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: llm.lab\r\n"
WRONG = REQUEST + f"authorization: Bearer {KEYS['wrong']}\r\ncontent-length: 1048576\r\n\r\n".encode()
STATES = {
    "only TCP": None,
    "only TLS": b"",
    "half of its headers": REQUEST,
    "40 KB of headers without an end": REQUEST + b"x: " + b"a" * 40_000,
    "900 KB of headers without an end": REQUEST + b"x: " + b"a" * 900_000,
    "all headers and no key": REQUEST + b"content-length: 0\r\n\r\n",
    "a wrong key and half of a body": WRONG + b"a" * 524_288,
}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Stack]:
    """A gateway of its own, whose memory no other test has used."""
    with running_stack() as stack, files_enough():
        yield stack


@contextmanager
def files_enough() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident(stack: Stack) -> int:
    """Return the memory of the gateway's worker in KB."""
    lines = Path(f"/proc/{stack.gateway.workers[0]}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def attacked(stack: Stack, sent: bytes | None, trusted: ssl.SSLContext, of: str = "127.0.0.2") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", stack.settings.port), source_address=(of, 0))
    if sent is None:
        return connection
    client = trusted.wrap_socket(connection, server_hostname="llm.lab")
    # The gateway may close the connection meanwhile.
    with contextlib.suppress(OSError):
        client.sendall(sent)
    return client


def test_2100_connections_without_a_key_take_little_memory_and_nothing_from_clients_with_one(fresh: Stack) -> None:
    stack, trusted = fresh, ssl.create_default_context(cadata=fresh.ca.pem)
    before = resident(stack)
    with ExitStack() as opened:
        for number in range(IN_EACH_STATE):
            for at, sent in enumerate(STATES.values()):
                opened.enter_context(contextlib.closing(attacked(stack, sent, trusted, f"127.0.0.{2 + at}")))
            if number % 100 == 0:
                assert stack.send().status == 200
        assert stack.send().status == 200
        assert (resident(stack) - before) / IN_EACH_STATE / len(STATES) < KB_EACH


def opened(stack: Stack, sent: bytes) -> ssl.SSLSocket:
    connection = stack.connect()
    connection.connect()
    connection.sock.sendall(sent)
    assert isinstance(connection.sock, ssl.SSLSocket)
    return connection.sock


def all_of(client: ssl.SSLSocket) -> bytes:
    """Return what the gateway sends until it closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while part := client.recv(65536):
            received += part
    return received


def test_without_a_key_there_is_no_second_request(stack: Stack) -> None:
    for key in ("", f"api-key: {KEYS['wrong']}\r\n", f"api-key: {KEYS['expired']}\r\n"):
        one = REQUEST + key.encode() + b"content-length: 0\r\n\r\n"
        received = all_of(opened(stack, one + one))
        assert received.count(b"HTTP/1.1 401") == received.count(b"HTTP/1.1") == 1
        assert b"\r\nconnection: close\r\n" in received


def test_headers_without_an_end_are_cut_off_and_are_a_line_of_the_log(stack: Stack) -> None:
    before = len(stack.log.lines)
    assert all_of(opened(stack, REQUEST + b"x: " + b"a" * 70_000)) == b""
    line = eventually(lambda: [line for line in stack.log.lines[before:] if '"key":null' in line])[0]
    assert '"status":-1,"end":"refused"' in line


def test_headers_may_come_in_parts_and_with_a_long_body(stack: Stack) -> None:
    body = b'{"model": "assistant", "x": "%s"}' % (b"a" * 500_000)
    head = REQUEST + f"api-key: {KEYS['good']}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n".encode()
    client = opened(stack, head[:30])
    for part in (head[30:60], head[60:], b"\r\n" + body[:100_000], body[100_000:]):
        client.sendall(part)
    assert all_of(client).startswith(b"HTTP/1.1 200")


def test_what_is_not_http_is_answered_at_once(stack: Stack) -> None:
    for sent in (
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ):
        head, _, body = all_of(opened(stack, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["error"]["code"] == "bad_request"


def test_the_answer_to_what_is_not_http_ends_the_connection_even_if_its_client_goes_on(stack: Stack) -> None:
    client = opened(stack, b"GARBAGE\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 400")

    def ended() -> bool:
        try:
            client.sendall(b"x")
        except OSError:
            return True
        return False

    eventually(ended)


@pytest.mark.parametrize(
    "sent", [b"", b"GE", b"GARBAGE\r\n\r\n", REQUEST], ids=["nothing", "a part", "no HTTP", "half"]
)
def test_a_client_that_closes_tls_leaves_no_connection_behind(stack: Stack, sent: bytes) -> None:
    """So do port scanners and monitoring. What HAProxy kept until the next restart would be missing in `maxconn`."""
    with contextlib.closing(opened(stack, sent)) as client:
        its_session = f"src=127.0.0.1:{client.getsockname()[1]} "
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.unwrap()
    eventually(lambda: its_session not in stack.gateway.ask("show sess"))


def test_one_address_leaves_connections_to_the_others(fresh: Stack) -> None:
    before = fresh.settings
    fresh.write(before.model_copy(update={"connections": 20}))
    fresh.gateway.reload()
    trusted = ssl.create_default_context(cadata=fresh.ca.pem)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(contextlib.closing(attacked(fresh, b"", trusted)))
        refused = 0
        for _ in range(10):
            try:
                stack.enter_context(contextlib.closing(attacked(fresh, b"", trusted)))
            except OSError:
                refused += 1
        assert refused == 10
        assert fresh.send().status == 200
    fresh.write(before)
    fresh.gateway.reload()
