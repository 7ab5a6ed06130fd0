"""A stand-in for a cloud: a provider's API with TLS on loopback, which a test controls."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from tempfile import TemporaryDirectory

from tests.gateway.certificates import CertificateAuthority
from tests.stand_in_engine import Received

ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Blue."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
    }
).encode()


@dataclass
class StandInCloud:
    """`hold` makes a stream wait for `steps` before its second chunk and later."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    status: int = 200
    answer: bytes = ANSWER
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of all answers, in addition to the usual ones."""
    crash: bool = False
    """Read each request and close its connection."""
    hold: bool = False
    steps: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    connections: int = 0
    """How many TLS connections have brought a request."""

    def reset(self) -> None:
        self.status, self.answer, self.headers, self.crash, self.hold = 200, ANSWER, {}, False, False
        self.requests.clear()
        self.steps = threading.Semaphore(0)
        self.connections = 0


@contextmanager
def stand_in_cloud(ca: CertificateAuthority, *names: str, address: str = "127.0.0.1") -> Iterator[StandInCloud]:
    """Run one with a certificate of this CA for these names."""
    cloud = StandInCloud()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory(prefix="rw-") as folder:
        ca.issue("cloud", names, client=False, folder=Path(folder))
        context.load_cert_chain(f"{folder}/cloud.crt", f"{folder}/cloud.key.cred")

    class Handler(_Handler):
        stand_in = cloud

        def setup(self) -> None:
            # In the connection's own thread: a health check that ends the handshake disturbs no one else.
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

    server = _Server((address, 0), Handler)
    cloud.port = int(server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield cloud
    finally:
        cloud.steps.release(1000)
        server.shutdown()
        server.server_close()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Health checks and refused certificates end connections early."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stand_in: StandInCloud
    counted = False

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        self.stand_in.connections += not self.counted
        self.counted = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.stand_in.requests.append(Received(self.path, headers, body))
        if self.stand_in.crash:
            self.close_connection = True
            return
        with suppress(ConnectionError, ssl.SSLError):
            if body and json.loads(body).get("stream"):
                self._stream()
            else:
                self._plain()

    def _plain(self) -> None:
        self.send_response(self.stand_in.status)
        self._headers("application/json")
        self.send_header("content-length", str(len(self.stand_in.answer)))
        self.end_headers()
        self.wfile.write(self.stand_in.answer)

    def _stream(self) -> None:
        self.send_response(200)
        self._headers("text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(3):
            if number and self.stand_in.hold:
                assert self.stand_in.steps.acquire(timeout=120), "nobody let the stand-in go on"
            self._chunk(f"data: {number}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _headers(self, content_type: str) -> None:
        for name, value in ({"content-type": content_type} | self.stand_in.headers).items():
            self.send_header(name, value)

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing; the tests look at `requests`."""
