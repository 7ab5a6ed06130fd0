"""A stand-in for a host proxy, to which a gateway is pointed: it fails as the test says, and counts requests."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class StandInProxy:
    """`failures` says what goes wrong for each request in turn: a status, or 0 for no answer."""

    failures: list[int] = field(default_factory=list)
    asked: int = 0
    """The number of requests, without the gateway's own checks."""
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    """Of the requests that it counts."""


@contextmanager
def stand_in_proxy(certificate: Path) -> Iterator[StandInProxy]:
    """Within the block, it listens with this certificate (CERTIFICATE.crt and .key.cred)."""
    proxy = StandInProxy()

    class Handler(_Handler):
        stand_in = proxy

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key.cred")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    proxy.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandInProxy

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.stand_in.bodies.append(self._body())
        self.stand_in.asked += 1
        failure = self.stand_in.failures.pop(0) if self.stand_in.failures else 200
        if failure:
            self._answer(failure)
        self.close_connection = not failure

    def _body(self) -> bytes:
        if length := self.headers["content-length"]:
            return self.rfile.read(int(length))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            """A gateway that doesn't trust us goes away."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the tests read `asked`."""
