"""Bytes over a TLS connection to the gateway, and the HTTP/1 answers in what comes back."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from rackwright.lab.fleet_file import DOMAIN
from tests.heavy.attacks.attack import Answer, Seen

CHAT = "/v1/chat/completions"
PATIENCE = 60
"""Seconds: longer than the gateway waits for the rest of any request (15 s for headers, then 30 s for a body)."""
SHORT = 65536
"""Bytes: more than a gateway's own answer has."""
Headers = Iterable[tuple[str, str]]
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


def bearer(key: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {key}")


def chat(model: str = "assistant", *, more: Mapping[str, object] | None = None) -> bytes:
    """Return a body that takes the engine one token, with more members or others."""
    asked = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Say hi."}], **(more or {})}
    return json.dumps(asked).encode()


def request(
    method: str, path: str, headers: Headers = (), body: bytes = b"", *, close: bool = True, version: str = "HTTP/1.1"
) -> bytes:
    """Return a request, after which the server closes the connection unless `close` is false."""
    lines = [f"{method} {path} {version}", f"Host: {DOMAIN}", *(f"{name}: {text}" for name, text in headers)]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(key: str, body: bytes, *more: tuple[str, str], path: str = CHAT, close: bool = True) -> bytes:
    return request("POST", path, (bearer(key), ("Content-Type", "application/json"), *more), body, close=close)


def connected(address: str, ca: Path, *, port: int = 443, alpn: Iterable[str] = ("http/1.1",)) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols([*alpn])
    plain = socket.create_connection((address, port), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname=DOMAIN)


def exchange(connection: socket.socket, sent: bytes) -> Seen:
    """Send these bytes; return what comes back until the server closes the connection, or says that it will."""
    with connection:
        # A server may refuse a request, and close, before all of it was sent.
        with suppress(OSError):
            connection.sendall(sent)
        came, ended = _until_closed(connection)
    answers, rest = parsed(came)
    return Seen(answers, rest, unfinished=not ended)


def _until_closed(connection: socket.socket) -> tuple[bytes, bool]:
    came, deadline = b"", time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            part = connection.recv(65536)
            if not part or _is_last(came := came + part):
                return came, True
    except TimeoutError:
        pass
    except OSError:
        return came, True
    return came, False


def _is_last(came: bytes) -> bool:
    """Return whether the last answer is whole, and none follows. A gateway may still read what it refused; what it
    answers itself is short."""
    if len(came) > SHORT:
        return False
    answers, rest = parsed(came)
    last = answers[-1] if answers else Answer(0)
    length = int(last.headers.get("content-length", -1))
    return not rest and last.headers.get("connection") == "close" and length == len(last.body)


def parsed(came: bytes) -> tuple[tuple[Answer, ...], bytes]:
    """Return the answers at the beginning, and what follows them."""
    answers: list[Answer] = []
    while head := _HEAD.match(came):
        lines = (line.partition(b":") for line in head[2].splitlines())
        headers = {name.decode("latin-1").lower(): text.strip().decode("latin-1") for name, _, text in lines}
        status = int(head[1])
        body, came = _body(status, headers, came[head.end() :])
        answers.append(Answer(status, headers, body))
    return tuple(answers), came


def _body(status: int, headers: dict[str, str], came: bytes) -> tuple[bytes, bytes]:
    if status < 200 or status in (204, 304):
        return b"", came
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(came)
    length = int(headers["content-length"]) if "content-length" in headers else len(came)
    return came[:length], came[length:]


def _chunks(came: bytes) -> tuple[bytes, bytes]:
    body = b""
    while line := re.match(rb"([0-9a-fA-F]+)[^\r\n]*\r\n", came):
        size = int(line[1], 16)
        start = line.end()
        body, came = body + came[start : start + size], came[start + size + 2 :]
        if not size:
            break
    return body, came
