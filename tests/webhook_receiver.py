"""A real web server that keeps what is posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.loopback_tls import server_tls


@dataclass
class Posted:
    path: str
    headers: Mapping[str, str]
    document: Any


@dataclass
class Receiver:
    server: ThreadingHTTPServer
    codes: list[int]
    """What it answers, one after another; 200 when none is left."""
    location: str | None = None
    """Where its answers redirect to."""
    posted: list[Posted] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.server.server_address[0]}:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"https://{self.place}/hooks/s3cret-path"

    @property
    def events(self) -> list[str]:
        return [one.document["event"] for one in self.posted]


@contextmanager
def webhook_receiver(
    *codes: int, tls: bool = True, location: str | None = None, address: str = "127.0.0.1"
) -> Iterator[Receiver]:
    """Yield a receiver on this address of the controller, with the loopback CA's certificate or without TLS."""
    server = ThreadingHTTPServer((address, 0), _Handler)
    server.daemon_threads = True
    receiver = server.receiver = Receiver(server, list(codes), location)  # type: ignore[attr-defined]
    if tls:
        # The handshake belongs to the request's thread: a client that refuses it must not end the server.
        server.socket = server_tls().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        content = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posted.append(Posted(self.path, dict(self.headers), json.loads(content)))
        self.send_response(receiver.codes.pop(0) if receiver.codes else 200)
        if receiver.location:
            self.send_header("Location", receiver.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            # A client that doesn't trust the certificate.
            return

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
