"""A stand-in for a provider's API, over TLS: completions, embeddings, and what a provider stores.

It answers by a simple rule, or passes completions to a real engine, the cloud's model. Only the standard library, so
that it also runs as a program on a lab host:

    python3 stand_in_cloud.py ORDER.json

Tests switch faults on in `StandInCloud.faults`, or by `POST /faults` to the control port of the program.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk-cloud-" + "k" * 40
ADMIN_KEY = "sk-admin-" + "a" * 40
BLUE = json.dumps(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Blue."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
    }
).encode()
PAGE = 20
"""Items in a page, if the client doesn't say."""
ADMIN_PATHS = ("/v1/organization/usage/completions", "/v1/organization/costs")
POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
LISTS = ("/v1/files", "/v1/batches", "/v1/fine_tuning/jobs", "/v1/vector_stores", "/v1/chat/completions")
UNLISTED = ("/v1/responses", "/v1/conversations")
"""What `objects` has under these paths is found only by its id."""
DELETABLE = ("/v1/files", "/v1/vector_stores", "/v1/chat/completions", *UNLISTED)
KNOWN = frozenset(
    "model messages prompt input stream stream_options max_tokens max_completion_tokens temperature top_p n stop "
    "seed tools tool_choice parallel_tool_calls response_format logprobs top_logprobs logit_bias presence_penalty "
    "frequency_penalty user store metadata service_tier prediction modalities audio web_search_options functions "
    "function_call best_of echo suffix dimensions encoding_format reasoning_effort prompt_cache_key "
    "safety_identifier verbosity".split()
)
"""Parameters that it takes; it refuses others, as OpenAI does."""


@dataclass
class Fault:
    """What happens to the next requests instead of an answer."""

    kind: str
    """status, silence, slow, drip, redirect, cut, garbled, huge or reset."""
    times: int = 1
    """How many requests it meets; -1: all, until it is removed."""
    path: str = "/v1/"
    """Only paths that begin with this."""
    status: int = 500
    retry_after: str = ""
    """Value of that header."""
    seconds: float = 0
    """For slow: the time before the answer."""
    location: str = ""
    key: str = ""
    """Only requests with this API key."""


@dataclass
class Fixed:
    """One answer to every request, whatever its key, path and model are."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    """In addition to the usual ones."""


@dataclass
class Received:
    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: str
    at: float
    """Seconds of time.monotonic(), when the whole request was here."""
    status: int = 0
    """What it was answered; 0: nothing so far."""


@dataclass
class StandInCloud:
    """`url` is where it listens. What it received is in `received`, in order of arrival."""

    keys: list[str] = field(default_factory=lambda: [KEY])
    admin_keys: list[str] = field(default_factory=lambda: [ADMIN_KEY])
    auth: str = "bearer"
    """Or api-key, as Azure has it."""
    models: dict[str, dict[str, Any]] = field(default_factory=lambda: {"gpt-4o-mini": {}, "gpt-4o": {}})
    """Name → further fields of its entry, like shutdown_date."""
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Path of a list → what is in it, newest first."""
    hidden: set[str] = field(default_factory=set)
    """Ids that no list has, of objects that are found by them."""
    keeps: dict[str, str] = field(default_factory=dict)
    """Id → what its deletion leaves, although it is answered with 200: all of it, or only the entry in its list."""
    gone: set[str] = field(default_factory=set)
    """Ids that a list still has, and that aren't found by them."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Id of a file → its content."""
    rate: int = 0
    """How many requests it takes in a second; it answers others with 429. 0: any number."""
    engine: str = ""
    """The engine that answers completions: http://HOST:PORT or unix:PATH; "": a rule does."""
    faults: list[Fault] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    varying: int = 0
    """Each answer whose number is a multiple of this differs from what the rule says; 0: none does."""
    answer: Callable[[dict[str, Any]], str] | None = None
    """A test's own rule for the text of answers."""
    fixed: Fixed | None = None
    """Set by `fix`; a stream is then the numbers 0 to 2."""
    hold: bool = False
    """Whether a stream waits for `steps` before its second part and each later one."""
    steps: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), repr=False)
    connections: int = 0
    """How many connections have brought a request."""
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    window: list[int] = field(default_factory=lambda: [0, 0])
    """The current second, and how many requests it has had."""
    ended: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set at the end, so that no silence outlasts a test."""
    server: Server | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def fix(self, status: int = 200, content: bytes = BLUE, headers: Mapping[str, str] | None = None) -> None:
        """Answer every request with this from now on."""
        self.fixed = Fixed(status, content, headers or {})

    def reset(self) -> None:
        """Forget what was received, and have no fault; what was fixed is the usual answer again."""
        with self.lock:
            self.faults.clear()
            self.received.clear()
            self.hold, self.connections, self.steps = False, 0, threading.Semaphore(0)
        if self.fixed:
            self.fix()

    def completions(self) -> list[Received]:
        """Return what was received on the paths that models answer."""
        with self.lock:
            return [one for one in self.received if one.method == "POST" and urlsplit(one.path).path in POSTS]

    def present(self, certificate: Path, key: Path) -> None:
        """Show this certificate to clients that connect from now on."""
        assert self.server is not None
        self.server.tls = tls_of(certificate, key)

    def taken(self) -> tuple[int, int]:
        """Count a request; return how many more this second takes, -1: not even this one, and its milliseconds."""
        now = time.time()
        with self.lock:
            if self.window[0] != int(now):
                self.window[:] = [int(now), 0]
            self.window[1] += 1
            return max(self.rate - self.window[1], -1), int((1 - now % 1) * 1000) + 1

    def fault(self, path: str, key: str) -> Fault | None:
        """Return the fault that meets this request, and count it."""
        with self.lock:
            for one in self.faults:
                if one.times and path.startswith(one.path) and one.key in ("", key):
                    one.times -= one.times > 0
                    return one
        return None


def tls_of(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    cloud: StandInCloud
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the request's thread: a client that refuses it must not end the server.
        if self.tls:
            request.settimeout(60)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        with suppress(OSError):
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients that refuse the certificate or go away are what tests are about."""


@contextmanager
def stand_in_cloud(
    certificate: Path | None = None, key: Path | None = None, address: str = "127.0.0.1", port: int = 0
) -> Iterator[StandInCloud]:
    """Yield a running stand-in with this certificate; without one, it has no TLS."""
    cloud = StandInCloud()
    server = Server((address, port), _Handler)
    server.cloud = cloud
    cloud.server = server
    server.tls = tls_of(certificate, key) if certificate and key else None
    cloud.url = f"{'https' if server.tls else 'http'}://{address}:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield cloud
    finally:
        cloud.ended.set()
        cloud.steps.release(1000)
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets; otherwise the second one waits for an acknowledgment of the first, 40 ms.
    disable_nagle_algorithm = True
    server: Server
    _counted = False
    _limits: Mapping[str, str] = {}
    """Headers about the rate."""

    def do_GET(self) -> None:
        self._take("")

    def do_POST(self) -> None:
        self._take(self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace"))

    do_DELETE = do_GET

    def _take(self, body: str) -> None:
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        # Before the answer: a client that has its answer finds its request here.
        self._one = Received(self.command, self.path, headers, body, time.monotonic())
        with self.server.cloud.lock:
            self.server.cloud.received.append(self._one)
            self.server.cloud.connections += not self._counted
            self._counted = True
        try:
            fault = self.server.cloud.fault(path, self._key())
            if fault is not None and self._fail(fault):
                return
            if self.server.cloud.rate and self._limited():
                return
            if fixed := self.server.cloud.fixed:
                self._answer_fixed(fixed)
            else:
                self._answer(path, cut=fault is not None and fault.kind == "cut")
        except OSError:
            self.close_connection = True

    def _key(self) -> str:
        return self.headers.get("api-key", "") or self.headers.get("authorization", "").removeprefix("Bearer ")

    def _fail(self, fault: Fault) -> bool:
        """Do what the fault says; return whether that was all."""
        if fault.kind == "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            self._json(fault.status, _error("The stand-in was told to fail.", f"fault_{fault.status}"), headers)
        elif fault.kind == "redirect":
            self._json(302, _error("Elsewhere.", "moved"), {"location": fault.location})
        elif fault.kind == "garbled":
            self._write(200, b'{"choices": [\x1b[31m', "application/json")
        elif fault.kind == "huge":
            self._write(200, b'{"x": "' + b"a" * (64 * 2**20) + b'"}', "application/json")
        elif fault.kind == "silence":
            self.server.cloud.ended.wait(600)
            self.close_connection = True
        elif fault.kind == "drip":
            self._drip()
        elif fault.kind == "reset":
            self.close_connection = True
        else:
            self.server.cloud.ended.wait(fault.seconds)
            return False
        return True

    def _limited(self) -> bool:
        """Answer 429 if this second has had enough requests; return whether that was all."""
        left, milliseconds = self.server.cloud.taken()
        self._limits = {
            "x-ratelimit-remaining-requests": str(max(left, 0)),
            "x-ratelimit-reset-requests": f"{milliseconds}ms",
        }
        if left < 0:
            self._json(429, _error("Rate limit reached.", "rate_limit"), {"retry-after-ms": str(milliseconds)})
        return left < 0

    def _drip(self) -> None:
        """Answer a byte from time to time, without an end."""
        self.close_connection = True
        self._one.status = 200
        self.send_response(200)
        self.end_headers()
        while not self.server.cloud.ended.wait(0.05):
            self.wfile.write(b" ")

    def _answer_fixed(self, fixed: Fixed) -> None:
        if self._one.body and json.loads(self._one.body).get("stream"):
            self._stream([f"data: {one}\n\n".encode() for one in (0, 1, 2, "[DONE]")], cut=False)
        else:
            self._write(fixed.status, fixed.content, "application/json", fixed.headers)

    def _answer(self, path: str, *, cut: bool) -> None:
        cloud = self.server.cloud
        allowed = cloud.admin_keys if path in ADMIN_PATHS else (*cloud.keys, *cloud.admin_keys)
        named = "api-key" in self.headers if cloud.auth == "api-key" else "authorization" in self.headers
        if not named or self._key() not in allowed:
            known = self._key() in cloud.keys
            message = "You have insufficient permissions for this operation." if known else _incorrect(self._key())
            self._json(403 if known else 401, _error(message, None if known else "invalid_api_key"))
        elif self.command == "POST" and path in POSTS:
            self._complete(path, cut=cut)
        elif self.command == "DELETE" and self._deleted(path):
            self._json(200, {"id": path.rpartition("/")[2], "deleted": True})
        elif self.command == "GET" and (stored := cloud.contents.get(_file_of(path))) is not None:
            self._write(200, stored, "application/octet-stream", sent=len(stored) // 2 if cut else None)
        elif self.command == "GET" and (found := self._listed(path) or self._object(path)) is not None:
            content = json.dumps(found).encode()
            self._write(200, content, "application/json", sent=len(content) // 2 if cut else None)
        else:
            self._json(404, _error(f"Invalid URL ({self.command} {path})", None))

    def _listed(self, path: str) -> dict[str, Any] | None:
        cloud, asked = self.server.cloud, parse_qs(urlsplit(self.path).query)
        if path == "/v1/models":
            return {"object": "list", "data": [_model(name, more) for name, more in cloud.models.items()]}
        if (name := path.removeprefix("/v1/models/")) in cloud.models:
            return _model(name, cloud.models[name])
        limit = int(asked.get("limit", [str(PAGE)])[0])
        if path in ADMIN_PATHS:
            return _buckets(cloud.objects.get(path, []), limit, asked.get("page", ["0"])[0])
        store = path.startswith("/v1/vector_stores/") and path.endswith("/files")
        if path not in LISTS and not store and (path not in cloud.objects or path in UNLISTED):
            return None
        items = [one for one in cloud.objects.get(path, []) if one["id"] not in cloud.hidden]
        return _page(items, limit, asked.get("after", [""])[0])

    def _object(self, path: str) -> dict[str, Any] | None:
        """Return an object that is asked for by its id."""
        among, _, id = path.rpartition("/")
        if id in self.server.cloud.gone:
            return None
        return next((one for one in self.server.cloud.objects.get(among, []) if one.get("id") == id), None)

    def _deleted(self, path: str) -> bool:
        """Delete an object; return whether there is one, and its kind can be deleted."""
        cloud, (among, _, id) = self.server.cloud, path.rpartition("/")
        if among not in DELETABLE or self._object(path) is None:
            return False
        if cloud.keeps.get(id) == "entry":
            cloud.gone.add(id)
        if id in cloud.keeps:
            return True
        with cloud.lock:
            cloud.objects[among] = [one for one in cloud.objects[among] if one["id"] != id]
            cloud.contents.pop(id, None)
            for inner in [one for one in cloud.objects if one.startswith(f"{path}/")]:
                del cloud.objects[inner]
        return True

    def _complete(self, path: str, *, cut: bool) -> None:
        cloud = self.server.cloud
        try:
            asked = json.loads(self._one.body)
            if not isinstance(asked, dict):
                raise ValueError
        except ValueError:
            self._json(400, _error("We could not parse the JSON body of your request.", None))
            return
        unknown = sorted(set(asked) - KNOWN)
        if asked.get("model") not in cloud.models:
            message = f"The model `{asked.get('model')}` does not exist or you do not have access to it."
            self._json(404, _error(message, "model_not_found"))
        elif unknown:
            self._json(400, _error(f"Unrecognized request argument supplied: {unknown[0]}", None))
        elif cloud.engine and path != "/v1/embeddings":
            self._pass_on(path, cut=cut)
        elif path == "/v1/embeddings":
            self._json(200, _embeddings(asked))
        elif asked.get("stream"):
            events = [*map(json.dumps, _chunks(self._made(path, asked))), "[DONE]"]
            self._stream([f"data: {one}\n\n".encode() for one in events], cut)
        else:
            content = json.dumps(self._made(path, asked)).encode()
            self._write(200, content, "application/json", sent=len(content) // 2 if cut else None)

    def _made(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        cloud = self.server.cloud
        text = cloud.answer(asked) if cloud.answer else text_of(asked)
        if cloud.varying and len(cloud.received) % cloud.varying == 0:
            text += " (varied)"
        return completion(path, asked, text)

    def _pass_on(self, path: str, *, cut: bool) -> None:
        connection = _engine(self.server.cloud.engine)
        try:
            connection.request("POST", path, self._one.body.encode(), {"content-type": "application/json"})
            response = connection.getresponse()
            kind = response.headers.get("content-type", "application/json")
            if kind.startswith("text/event-stream"):
                self._stream(_parts(response), cut)
            else:
                content = response.read()
                self._write(response.status, content, kind, sent=len(content) // 2 if cut else None)
        finally:
            connection.close()

    def _stream(self, events: Sequence[bytes] | Iterator[bytes], cut: bool) -> None:
        self._one.status = 200
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events):
            if number and self.server.cloud.hold:
                assert self.server.cloud.steps.acquire(timeout=120), "nobody let the stand-in go on"
            if cut and number:
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        self._write(status, json.dumps(document).encode(), "application/json", headers)

    def _write(
        self,
        status: int,
        content: bytes,
        kind: str,
        headers: Mapping[str, str] | None = None,
        sent: int | None = None,
    ) -> None:
        """Answer; `sent`: close the connection after so many bytes of the content."""
        self._one.status = status
        self.send_response(status)
        usual = {"content-type": kind, "content-length": str(len(content))}
        for name, value in {**usual, **self._limits, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:sent])
        self.close_connection = self.close_connection or sent is not None

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing; tests look at `received`."""


def text_of(asked: Mapping[str, Any]) -> str:
    """Return the rule's answer: it depends on what was asked, but not on the model or on whether it is streamed."""
    kind = asked.get("response_format") or {}
    if kind.get("type") == "json_schema":
        return json.dumps(_instance(kind.get("json_schema", {}).get("schema", {})))
    prompt = json.dumps([asked.get("messages"), asked.get("prompt")], sort_keys=True)
    words = f"answer {hashlib.sha256(prompt.encode()).hexdigest()[:8]}"
    return json.dumps({"answer": words}) if kind.get("type") == "json_object" else words


def completion(path: str, asked: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an answer with this text, or with a call of the first tool that the request has."""
    chat = path == "/v1/chat/completions"
    choices = [_choice(asked, text, index, chat=chat) for index in range(int(asked.get("n") or 1))]
    prompt = max(1, len(json.dumps(asked.get("messages") or asked.get("prompt") or "")) // 4)
    answered = len(choices) * max(1, len(text) // 4)
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion" if chat else "text_completion",
        "created": 1_790_000_000,
        "model": asked["model"],
        "choices": choices,
        "usage": {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered},
    }


def _choice(asked: Mapping[str, Any], text: str, index: int, *, chat: bool) -> dict[str, Any]:
    if not chat:
        return {"index": index, "text": text, "finish_reason": "stop", "logprobs": None}
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    logprobs = {"content": [{"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    if asked.get("tools") and asked.get("tool_choice") != "none":
        function = asked["tools"][0]["function"]
        arguments = json.dumps(_instance(function.get("parameters") or {}))
        call = {"id": "call_1", "type": "function", "function": {"name": function["name"], "arguments": arguments}}
        message |= {"content": None, "tool_calls": [call]}
    finish = "tool_calls" if "tool_calls" in message else "stop"
    shown = logprobs if asked.get("logprobs") else None
    return {"index": index, "message": message, "finish_reason": finish, "logprobs": shown}


def _chunks(whole: dict[str, Any]) -> Iterator[Any]:
    """Yield an answer as a stream's chunks."""
    base = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for choice in whole["choices"]:
        if "text" in choice:
            yield {**base, "object": "text_completion", "choices": [choice]}
            continue
        message = choice["message"]
        calls = [{"index": number, **call} for number, call in enumerate(message.get("tool_calls", []))]
        for delta in _deltas(message["content"], calls):
            yield {**base, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}
        yield {**base, "choices": [{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield {**base, "choices": [], "usage": whole["usage"]}


def _deltas(content: str | None, calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if content is not None else None}
    for word in (content or "").split(" "):
        if word:
            yield {"content": word if (content or "").startswith(word) else f" {word}"}
    if calls:
        yield {"tool_calls": calls}


def _instance(schema: Mapping[str, Any]) -> Any:
    """Return the smallest value that a simple JSON schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    plain = {"string": "x", "integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
    if schema.get("type") in plain:
        return plain[schema["type"]]
    return {name: _instance(one) for name, one in schema.get("properties", {}).items()}


def _embeddings(asked: Mapping[str, Any]) -> dict[str, Any]:
    texts = asked["input"] if isinstance(asked.get("input"), list) else [asked.get("input")]
    data = []
    for index, text in enumerate(texts):
        digest = hashlib.sha256(json.dumps(text).encode()).digest()
        vector: Any = [byte / 255 for byte in digest[:16]]
        if asked.get("encoding_format") == "base64":
            import struct

            vector = base64.b64encode(struct.pack("<16f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "data": data, "model": asked["model"], "usage": usage}


def _file_of(path: str) -> str:
    """Return the id of the file whose content is asked for, "" if none is."""
    return path.removeprefix("/v1/files/").removesuffix("/content") if path.endswith("/content") else ""


def _model(name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_720_000_000, "owned_by": "stand-in", **more}


def _page(items: list[dict[str, Any]], limit: int, after: str) -> dict[str, Any]:
    ids = [one["id"] for one in items]
    start = ids.index(after) + 1 if after in ids else 0
    data = items[start : start + min(limit, 100)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, "has_more": start + len(data) < len(items), **ends}


def _buckets(items: list[dict[str, Any]], limit: int, page: str) -> dict[str, Any]:
    start = int(page) if page.isdecimal() else 0
    data = items[start : start + limit]
    following = start + len(data)
    more = following < len(items)
    return {"object": "page", "data": data, "has_more": more, "next_page": str(following) if more else None}


def _error(message: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def _incorrect(key: str) -> str:
    if not key:
        return "You didn't provide an API key."
    return f"Incorrect API key provided: {key[:5]}***. You can find your API key at https://stand-in.invalid."


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(600)
        self.sock.connect(self._path)


def _engine(place: str) -> HTTPConnection:
    if place.startswith("unix:"):
        return _UnixConnection(place.removeprefix("unix:"))
    return HTTPConnection(urlsplit(place).netloc, timeout=600)


def _parts(response: HTTPResponse) -> Iterator[bytes]:
    while part := response.read1(65536):
        yield part


class _Control(BaseHTTPRequestHandler):
    """GET /received, GET /faults and POST /faults, for the test that started the program."""

    server: Server

    def do_GET(self) -> None:
        cloud = self.server.cloud
        with cloud.lock:
            self._say([asdict(one) for one in (cloud.faults if self.path == "/faults" else cloud.received)])

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.cloud.lock:
            self.server.cloud.faults[:] = [Fault(**one) for one in content]
        self._say(len(content))

    def _say(self, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def main(order: Mapping[str, Any]) -> None:
    """Serve until the process ends. The order says `address`, `port`, `certificate`, `key`, `control` (a port on
    loopback), and fields of StandInCloud."""
    place = (Path(order["certificate"]), Path(order["key"]), order.get("address", "0.0.0.0"), order.get("port", 443))
    with stand_in_cloud(*place) as cloud:
        for name in ("keys", "admin_keys", "auth", "models", "objects", "engine", "varying", "rate"):
            if name in order:
                setattr(cloud, name, order[name])
        cloud.contents = {id: text.encode() for id, text in order.get("contents", {}).items()}
        control = Server(("127.0.0.1", order.get("control", 8700)), _Control)
        control.cloud = cloud
        control.serve_forever()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
