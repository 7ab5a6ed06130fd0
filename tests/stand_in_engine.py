"""A stand-in for an engine: it answers like vLLM or llama-server on a unix socket, and a test controls it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, ThreadingTCPServer, UnixStreamServer


@dataclass(frozen=True)
class Received:
    """One request as it reached the engine."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class StandInEngine:
    """`hold` makes each answer wait for `let_go()` before its body, a stream before its second chunk and later."""

    socket: Path
    requests: list[Received] = field(default_factory=list)
    hold: bool = False
    break_off: bool = False
    """Close in the middle of a stream."""
    answer: bytes | None = None
    """Body of plain completions instead of the usual one."""
    status: int = 200
    """Status of plain completions."""
    endless: bool = False
    """Answers of every kind never end."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of all answers, in addition to the usual ones."""
    crash: bool = False
    """Read each request and close its connection, as an engine does that crashes."""
    steps: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client went away in the middle of a stream."""
    late: bool = False
    """Hold a stream's first chunk, too: only its headers are sent."""
    began: threading.Event = field(default_factory=threading.Event)
    """Set when a stream's headers were sent."""
    chunks: int = 5
    events: tuple[bytes, ...] = ()
    """Chunks of a stream instead of the usual ones."""

    def let_go(self, steps: int = 1) -> None:
        self.steps.release(steps)

    def is_left(self) -> bool:
        """Whether a client that was being answered is gone; the next write to it shows that."""
        self.let_go()
        return self.gone.is_set()

    def wait(self) -> None:
        if self.hold:
            assert self.steps.acquire(timeout=120), "nobody let the stand-in go on"


@contextmanager
def stand_in_engine(socket: Path) -> Iterator[StandInEngine]:
    engine = StandInEngine(socket)

    class Handler(_Handler):
        stand_in = engine

    server = _UnixServer(str(socket), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield engine
    finally:
        engine.hold = False
        engine.let_go(1000)
        server.shutdown()
        server.server_close()
        socket.unlink(missing_ok=True)


class StandInAgent:
    """A stand-in for a probe's agent: one line of state for each connection."""

    def __init__(self) -> None:
        self.state = "up ready"
        agent = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                # The client may have been stopped meanwhile.
                with suppress(ConnectionError):
                    self.request.sendall(agent.state.encode() + b"\n")

        self._server = _TcpServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _TcpServer(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandInEngine
    client_address = ("unix", 0)  # type: ignore[assignment]

    def do_GET(self) -> None:
        self._respond(b'{"status":"ok"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.stand_in.requests.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.stand_in.crash:
            self.close_connection = True
            return
        try:
            if json.loads(body).get("stream"):
                self._stream()
            else:
                self.stand_in.wait()
                self._respond(self.stand_in.answer or _COMPLETION, self.stand_in.status)
        except (BrokenPipeError, ConnectionResetError):
            self.stand_in.gone.set()
            self.close_connection = True

    def _respond(self, body: bytes, status: int = 200) -> None:
        if self.stand_in.endless:
            self._respond_without_end()
            return
        self.send_response(status)
        self._send_headers("application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _respond_without_end(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                self.wfile.write(b"decoded 1\n" * 65536)

    def _send_headers(self, content_type: str) -> None:
        for name, value in ({"content-type": content_type} | self.stand_in.headers).items():
            self.send_header(name, value)

    def _stream(self) -> None:
        self.send_response(200)
        self._send_headers("text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.stand_in.began.set()
        usual = (f"data: {number}\n\n".encode() for number in range(self.stand_in.chunks))
        for number, event in enumerate(self.stand_in.events or usual):
            if number or self.stand_in.late:
                self.stand_in.wait()
            self._chunk(event)
            if self.stand_in.break_off:
                self.close_connection = True
                return
        if not self.stand_in.events:
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing; the tests look at `requests`."""


_COMPLETION = json.dumps(
    {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Red."},
                "finish_reason": "stop",
                "logprobs": {
                    "content": [
                        {"token": "Red", "logprob": -0.1, "top_logprobs": [{"token": "Red", "logprob": -0.1}]},
                        {"token": ".", "logprob": -0.2, "top_logprobs": [{"token": ".", "logprob": -0.2}]},
                    ]
                },
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
).encode()
