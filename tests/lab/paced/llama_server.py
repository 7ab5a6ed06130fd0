#!/usr/bin/python3
"""A stand-in for llama-server that sends tokens at a pace and computes nothing. It runs with only the python3-minimal
of a bare Debian: one thread, no packages.

It takes llama-server's arguments, and answers at the unix socket `--host` as b10434 does: /health, /metrics,
/v1/models, /v1/completions, /v1/chat/completions, plain and streamed, with logprobs, and 503 while it loads. An
answer has exactly max_tokens tokens. They depend only on the prompt and on the model's voice, and system_fingerprint
names the folder of the model. SIGTERM cuts off requests in flight, as the real one does after a while.

Words `name=value` configure it. They come from the file `stand-in` next to it (the runtime's), from `--stand-in "…"`
(the fleet file's args) and from the model file's line `stand-in: …`; later ones override earlier ones:
    load=SECONDS until it answers anything but 503    pace=SECONDS between tokens
    voice=NAME: two models of one voice say the same  fault=refuse: ends after its load
    fault=hang: takes connections after its load, never answers        fault=gibberish: unlikely tokens
"""

from __future__ import annotations

import heapq
import json
import re
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count, pairwise
from pathlib import Path

WORDS = (
    "amber basil cedar delta ember fjord grove hazel indigo jade karst lilac maple north ocean pearl quartz raven "
    "sable thyme umber violet willow xenon yarrow zinc birch coral dune elm fern glade heron iris juniper kelp"
).split()
LONGEST_BODY = 4 * 2**20


@dataclass
class Told:
    """How it should behave."""

    load: float = 0.0
    pace: float = 0.05
    voice: str = "plain"
    fault: str = ""

    def hear(self, text: str) -> None:
        for name, value in (word.split("=", 1) for word in text.split()):
            setattr(self, name, type(getattr(self, name))(value))


@dataclass(frozen=True)
class Arguments:
    model: Path
    host: str
    alias: str
    parallel: int
    words: str

    @classmethod
    def of(cls, argv: list[str]) -> Arguments:
        pairs = {name: value for name, value in pairwise(argv) if name.startswith("--")}
        return cls(
            Path(pairs["--model"]),
            pairs["--host"],
            pairs["--alias"],
            int(pairs.get("--parallel", 1)),
            pairs.get("--stand-in", ""),
        )


class Loop:
    """Sockets and timers, in one thread."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), work))

    def run(self) -> None:
        while True:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _ in self.selector.select(wait):
                key.data()
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()


@dataclass(frozen=True)
class Asked:
    """One request for tokens."""

    chat: bool
    stream: bool
    tokens: int
    prompt: str
    logprobs: int | None
    usage: bool

    @classmethod
    def of(cls, path: str, body: bytes) -> Asked:
        told = json.loads(body)
        chat, logprobs = path.endswith("/chat/completions"), told.get("logprobs")
        tops = told.get("top_logprobs", 0) if chat else logprobs
        return cls(
            chat=chat,
            stream=bool(told.get("stream")),
            tokens=int(told.get("max_tokens") or told.get("max_completion_tokens") or 16),
            prompt=json.dumps(told.get("messages") if chat else told.get("prompt")),
            logprobs=None if logprobs in (None, False) else int(tops or 0),
            usage=bool((told.get("stream_options") or {}).get("include_usage")),
        )


@dataclass(frozen=True)
class Token:
    text: str
    logprob: float
    tops: tuple[tuple[str, float], ...]

    def shown(self, tops: int) -> dict[str, object]:
        others = [_entry(text, logprob) for text, logprob in self.tops[:tops]]
        return {**_entry(self.text, self.logprob), "top_logprobs": others}


def _entry(text: str, logprob: float) -> dict[str, object]:
    return {
        "id": WORDS.index(text.strip()),
        "token": text,
        "bytes": list(text.encode()),
        "logprob": logprob,
    }


def tokens(voice: str, prompt: str, many: int, *, gibberish: bool) -> Iterator[Token]:
    """Yield this voice's most likely tokens after the prompt; for gibberish, its least likely ones."""
    seed = sha256(f"{voice}\0{prompt}".encode()).digest()
    for number in range(many):
        seed = sha256(seed).digest()
        tops = tuple(
            (f" {WORDS[(seed[0] + place) % len(WORDS)]}", -0.05 - place * 1.25 - seed[1] / 2560)
            for place in range(10)
        )
        if gibberish:
            yield Token(f" {WORDS[(seed[0] + 20 + number % 7) % len(WORDS)]}", -14.5, tops)
        else:
            yield Token(*tops[0], tops)


@dataclass
class Engine:
    arguments: Arguments
    told: Told
    loop: Loop
    loaded: bool = False
    running: int = 0
    decoded: int = 0
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    def start(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.arguments.host)
        listener.listen(1024)
        listener.setblocking(False)
        self.loop.selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        self.loop.later(self.told.load, self._loaded)

    def _loaded(self) -> None:
        if self.told.fault == "refuse":
            sys.exit("the stand-in refuses to start: fault=refuse")
        self.loaded = True

    @property
    def hangs(self) -> bool:
        return self.loaded and self.told.fault == "hang"

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        Connection(self, connection)

    def take(self, begin: Callable[[], None]) -> None:
        """Take a slot, now or when one is free."""
        if self.running < self.arguments.parallel:
            self.running += 1
            begin()
        else:
            self.waiting.append(begin)

    def leave(self) -> None:
        if self.waiting:
            self.waiting.popleft()()
        else:
            self.running -= 1

    def metrics(self) -> bytes:
        values = {
            "n_decode_total": ("counter", self.decoded),
            "requests_processing": ("gauge", self.running),
            "requests_deferred": ("gauge", len(self.waiting)),
        }
        lines = (f"# TYPE llamacpp:{name} {kind}\nllamacpp:{name} {value}" for name, (kind, value) in values.items())
        return ("\n".join(lines) + "\n").encode()

    @property
    def fingerprint(self) -> str:
        return f"stand-in-{self.arguments.model.parent.name}"


class Connection:
    """One client with a kept-alive connection; one request at a time."""

    def __init__(self, engine: Engine, peer: socket.socket) -> None:
        self.engine, self.peer = engine, peer
        self._in, self._out = bytearray(), bytearray()
        self._answering = self._closed = self._writes = False
        engine.loop.selector.register(peer, selectors.EVENT_READ, self._ready)

    def _ready(self) -> None:
        try:
            self._send()
            while content := self.peer.recv(65536):
                self._in += content
            self._close()
        except BlockingIOError:
            self._next()
        except OSError:
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self.engine.loop.selector.unregister(self.peer)
            self.peer.close()

    def _next(self) -> None:
        """Start the next request if it has arrived completely."""
        head, end, rest = bytes(self._in).partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        length = int(found[1]) if found else 0
        if self._answering or not end or self.engine.hangs or len(rest) < length:
            return
        del self._in[: len(head) + 4 + length]
        method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ", 2)
        self._answering = True
        self._answer(method, path.partition("?")[0], rest[:length])

    def _answer(self, method: str, path: str, body: bytes) -> None:
        engine = self.engine
        if not engine.loaded:
            self._whole(503, _error(503, "Loading model", "unavailable_error"))
        elif path == "/health":
            self._whole(200, b'{"status":"ok"}')
        elif path == "/metrics":
            self._whole(200, engine.metrics(), "text/plain; version=0.0.4")
        elif path == "/v1/models":
            names = engine.arguments.alias.split(",")
            entries = [{"id": name, "object": "model", "owned_by": "llamacpp"} for name in names]
            self._whole(200, json.dumps({"object": "list", "data": entries}).encode())
        elif method == "POST" and path in ("/v1/completions", "/v1/chat/completions"):
            try:
                asked = Asked.of(path, body)
            except (ValueError, AttributeError, TypeError):
                self._whole(400, _error(400, "no request", "invalid_request_error"))
            else:
                engine.take(lambda: Answer(self, asked).begin())
        else:
            self._whole(404, _error(404, "File Not Found", "not_found_error"))

    def _whole(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.write(b"HTTP/1.1 %d -\r\ncontent-type: %s\r\n" % (status, kind.encode()))
        self.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        self.ended()

    def whole(self, document: dict[str, object]) -> None:
        self._whole(200, json.dumps(document).encode())

    def open_stream(self) -> None:
        self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def event(self, text: str) -> None:
        content = f"data: {text}\n\n".encode()
        self.write(b"%x\r\n%s\r\n" % (len(content), content))

    def end_stream(self) -> None:
        self.event("[DONE]")
        self.write(b"0\r\n\r\n")
        self.ended()

    def ended(self) -> None:
        self._answering = False
        if self._in:
            self.engine.loop.later(0, self._next)

    @property
    def gone(self) -> bool:
        return self._closed

    def write(self, content: bytes) -> None:
        self._out += content
        try:
            self._send()
        except OSError:
            self._close()

    def _send(self) -> None:
        if self._closed or not (self._out or self._writes):
            return
        with suppress(BlockingIOError):
            del self._out[: self.peer.send(self._out)]
        if bool(self._out) != self._writes:
            self._writes = bool(self._out)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writes else 0)
            self.engine.loop.selector.modify(self.peer, events, self._ready)


class Answer:
    """The tokens of one request, one after another."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self.connection, self.asked, self.engine = connection, asked, connection.engine
        told = self.engine.told
        self._left = tokens(told.voice, asked.prompt, asked.tokens, gibberish=told.fault == "gibberish")
        self._said: list[Token] = []
        self._common = {
            "id": f"stand-in-{time.monotonic_ns():x}",
            "created": int(time.time()),
            "model": self.engine.arguments.alias.partition(",")[0],
            "system_fingerprint": self.engine.fingerprint,
            "object": ("chat.completion" if asked.chat else "text_completion") + ".chunk" * asked.stream,
        }

    def begin(self) -> None:
        self.engine.loop.later(self.engine.told.pace, self._step)

    def _step(self) -> None:
        token = next(self._left, None)
        if self.connection.gone:
            self.engine.leave()
        elif token is None:
            self._end()
            self.engine.leave()
        else:
            self.engine.decoded += 1
            self._say(token)
            self._said.append(token)
            self.begin()

    def _say(self, token: Token) -> None:
        if not self.asked.stream:
            return
        if not self._said:
            self.connection.open_stream()
        self._event([self._choice([token], None)])

    def _end(self) -> None:
        if not self.asked.stream:
            self.connection.whole({**self._common, "choices": [self._choice(self._said, "length")], **self._usage()})
            return
        self._event([self._choice([], "length")])
        if self.asked.usage:
            self._event([], self._usage())
        self.connection.end_stream()

    def _event(self, choices: list[object], more: dict[str, object] | None = None) -> None:
        self.connection.event(json.dumps({**self._common, "choices": choices, **(more or {})}))

    def _choice(self, said: list[Token], end: str | None) -> dict[str, object]:
        text = "".join(token.text for token in said)
        choice: dict[str, object] = {"index": 0, "finish_reason": end}
        if not self.asked.chat:
            choice["text"] = text
        elif self.asked.stream:
            choice["delta"] = {"content": text} if said else {}
        else:
            choice["message"] = {"role": "assistant", "content": text}
        if self.asked.logprobs is not None and said:
            choice["logprobs"] = {"content": [token.shown(self.asked.logprobs) for token in said]}
        return choice

    def _usage(self) -> dict[str, object]:
        prompt, said = len(self.asked.prompt) // 4 + 1, len(self._said)
        return {"usage": {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}}


def _error(status: int, message: str, kind: str) -> bytes:
    return json.dumps({"error": {"code": status, "message": message, "type": kind}}).encode()


def told_to(arguments: Arguments) -> Told:
    beside = Path(__file__).with_name("stand-in")
    told = Told()
    told.hear(beside.read_text() if beside.exists() else "")
    told.hear(arguments.words)
    found = re.search(rb"stand-in: ([ -~]*)", arguments.model.read_bytes()[:65536])
    told.hear(found[1].decode() if found else "")
    return told


def main(argv: list[str]) -> None:
    if "--version" in argv:
        print("version: a stand-in for llama-server")
        return
    arguments = Arguments.of(argv)
    loop = Loop()
    Engine(arguments, told_to(arguments), loop).start()
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1:])
