"""A cloud that breaks HTTP, and clients that try to get more of a cloud than they may: bytes as they are."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rackwright.roles.gateway.settings import Cloud, RoutedModel
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.stack import KEYS, Stack, free_port, running_stack
from tests.waiting import wait_until

SECRET = "sk-cloud-" + "c" * 40
BODY = b'{"usage":{"prompt_tokens":1,"completion_tokens":2}}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


@dataclass
class RawCloud:
    """A stand-in for a cloud that answers each request with the same bytes, and keeps what it got as it arrived."""

    port: int
    answer: bytes = ANSWER
    got: list[bytes] = field(default_factory=list)
    closes: bool = False
    """Whether it closes each connection after an answer."""

    def reset(self) -> None:
        self.answer, self.closes = ANSWER, False
        self.got.clear()

    def serve(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            while request := read_request(tls):
                self.got.append(request)
                tls.sendall(self.answer)
                if self.closes:
                    return


def read_request(tls: ssl.SSLSocket) -> bytes:
    """Return one request as it arrived; b"" if the connection ends first."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (more := tls.recv(65536)):
            return b""
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
    while not (body.endswith(b"\r\n\r\n") if chunked else len(body) >= int(fields.get(b"content-length", 0))):
        body += tls.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def raw_cloud(ca: CertificateAuthority, name: str) -> Iterator[RawCloud]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory(prefix="rw-") as folder:
        ca.issue("cloud", (name,), client=False, folder=Path(folder))
        context.load_cert_chain(f"{folder}/cloud.crt", f"{folder}/cloud.key.cred")
    cloud = RawCloud(free_port())
    with socket.create_server(("127.0.0.1", cloud.port)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=cloud.serve, args=(listener.accept()[0], context), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield cloud


@dataclass
class Attacked:
    stack: Stack
    cloud: RawCloud

    def post(self, body: bytes, *headers: str, path: str = "/v1/chat/completions", framed: bool = True) -> bytes:
        """Send one request as it is, and close; return all of the answer."""
        lines = [
            f"POST {path} HTTP/1.1",
            "host: llm.lab",
            f"authorization: Bearer {KEYS['good']}",
            "connection: close",
        ]
        lines += [*headers, *([f"content-length: {len(body)}"] if framed else [])]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def send(self, request: bytes) -> bytes:
        trusted = ssl.create_default_context(cadata=self.stack.ca.pem)
        address = ("127.0.0.1", self.stack.settings.port)
        with (
            socket.create_connection(address, timeout=30) as plain,
            trusted.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(request)
            return b"".join(iter(lambda: tls.recv(65536), b""))


@pytest.fixture(scope="module")
def running() -> Iterator[Attacked]:
    with ExitStack() as made:
        stack = made.enter_context(running_stack())
        cloud = made.enter_context(raw_cloud(stack.ca, "cloud.test"))
        settings = Cloud(name="acme", host="cloud.test", port=cloud.port, path="/v1", own_ca=True)
        Path(stack.folder, "acme.ca.crt").write_text(stack.ca.pem)
        Path(stack.folder, "acme.key.cred").write_text(SECRET)
        chat = RoutedModel(name="chat", digest=None, names=("gpt-4o-mini",), servers=(), cloud="acme")
        stack.gateway.proxy = replace(stack.gateway.proxy, clouds=("acme",))
        Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
        stack.write(
            stack.settings.model_copy(update={"models": (*stack.settings.models, chat), "clouds": (settings,)})
        )
        stack.gateway.reload()
        server = f"{settings.backend}/{settings.servers[0]}"
        stack.gateway.ask(f"set server {server} addr 127.0.0.1")
        stack.gateway.ask(f"set server {server} state ready")
        wait_until(lambda: "UP" in stack.gateway.statuses(settings.servers[0]))
        yield Attacked(stack, cloud)


@pytest.fixture
def attacked(running: Attacked) -> Attacked:
    running.cloud.reset()
    return running


MINI = b'{"model":"gpt-4o-mini"'


def refused(attacked: Attacked, body: bytes) -> str:
    answer = attacked.post(body)
    assert attacked.cloud.got == []
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


@pytest.mark.parametrize(
    "rest",
    [
        b',"MODEL":"gpt-4o"}',  # Go and .NET ignore case
        b',"mod\\el":"gpt-4o"}',
        b',"mod\\u0065l":"gpt-4o"}',
        b',"m\xc1\xafdel":"gpt-4o"}',  # an o in two bytes
        b",'model':'gpt-4o'}",
        b',model:"gpt-4o"}',
        b',/* { */"model":"gpt-4o"}',
        b',// {\n"model":"gpt-4o"}',
        b'},"model":"gpt-4o"}',
        b'}\0{"model":"gpt-4o"}',
        b'}{"x":{"model":"gpt-4o"}}',
    ],
)
def test_what_a_lenient_cloud_could_read_as_another_model_is_refused(attacked: Attacked, rest: bytes) -> None:
    assert refused(attacked, MINI + rest) == "repeated_model"


@pytest.mark.parametrize("rest", [b',"models":["gpt-4o"]}', b',"fallbacks":["gpt-4o"]}', b',"Models":["gpt-4o"]}'])
def test_other_models_beside_the_first_are_refused(attacked: Attacked, rest: bytes) -> None:
    assert refused(attacked, MINI + rest) == "unsupported_parameter"


@pytest.mark.parametrize(
    "rest",
    [
        b' , "n" : -1.5e+3, "a": [true,false,null,1E5], "s": "// /* \' model: \\" \xc3\xa9 \\u0065" } \r\n',
        b',"metadata":{"MODEL":"x","mod\\u0065l":"y","models":[]},"tools":[{"model":1},{"model":2}]}',
    ],
)
def test_what_is_json_with_one_model_passes_as_it_is(attacked: Attacked, rest: bytes) -> None:
    assert attacked.post(MINI + rest).startswith(b"HTTP/1.1 200 ")
    (got,) = attacked.cloud.got
    assert got.partition(b"\r\n\r\n")[2] == MINI + rest


@pytest.mark.parametrize("said", ["application/x-www-form-urlencoded", "application/json; charset=utf-7", "a/b"])
def test_a_cloud_reads_the_request_as_the_gateway_does(attacked: Attacked, said: str) -> None:
    """A cloud may read a form: the JSON of this request is one that names another model."""
    assert attacked.post(MINI + b',"x":"&model=gpt-4o&"}', f"content-type: {said}").startswith(b"HTTP/1.1 200 ")
    (got,) = attacked.cloud.got
    assert [line for line in got.split(b"\r\n") if b"content-type" in line] == [b"content-type: application/json"]


def test_headers_after_the_body_do_not_reach_a_cloud(attacked: Attacked) -> None:
    body = MINI + b"}"
    chunks = b"%x\r\n%s\r\n0\r\nopenai-organization: other\r\nauthorization: Bearer other\r\n\r\n" % (len(body), body)
    answer = attacked.post(chunks, "transfer-encoding: chunked", "trailer: openai-organization", framed=False)
    assert answer.startswith(b"HTTP/1.1 200 ")
    (got,) = attacked.cloud.got
    assert b"other" not in got
    assert got.endswith(b"\r\n\r\n" + body)


def test_a_cloud_gets_no_connection_of_a_client(attacked: Attacked) -> None:
    for head in (b"connection: upgrade\r\nupgrade: x\r\n", b""):
        attacked.cloud.answer = b"HTTP/1.1 101 Switching Protocols\r\n" + head + b"\r\n"
        assert attacked.post(MINI + b"}").startswith(b"HTTP/1.1 502 ")


def test_what_is_not_http_is_not_passed_on(attacked: Attacked) -> None:
    attacked.cloud.closes = True
    for answer in (
        b"\0\1 " + SECRET.encode(),
        ANSWER.replace(b": 51", b": 51\r\ncontent-length: 50"),
        b"HTTP/1.1 200 O",
    ):
        attacked.cloud.answer = answer
        said = attacked.post(MINI + b"}")
        assert (b'"code":"cloud_broke_off"' in said, SECRET.encode() in said) == (True, False)
    assert not any(SECRET in line for line in attacked.stack.log.lines)


def test_what_a_cloud_counts_is_a_count_or_nothing(attacked: Attacked) -> None:
    for said in (b"99999999999999999999999", b"-1", b'"7,\\"key\\":1"', b"[1]"):
        body = b'{"usage":{"prompt_tokens":%s}}' % said
        attacked.cloud.answer = ANSWER.replace(BODY, body).replace(b" %d" % len(BODY), b" %d" % len(body))
        answer = attacked.post(MINI + b"}")
        request = answer.partition(b"x-request-id: ")[2][:36].decode()
        line = attacked.stack.log.line(request)
        assert (line.prompt_tokens, line.estimated) == (len(MINI + b"}") // 4, True)
