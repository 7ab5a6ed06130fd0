from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.client.request import FromController, Request, Response, ask
from rackwright.roles.replica.answer import MOST_BYTES
from rackwright.values.secrets import Secret
from tests.shells import without_curl


@dataclass
class Records:
    """Runs nothing; keeps the script."""

    where: str = "nowhere"
    script: str = ""

    def shell(self, script: str, timeout: float) -> str:
        self.script = script
        return ""


def test_the_key_stands_in_what_the_shell_reads_and_in_no_argument():
    records = Records()
    key = Secret("rw-secret")
    with pytest.raises(RackwrightError, match="0 of 1 requests finished"):
        ask(records, "PEM", (Request("10.0.0.1", "llm.example", key=key),))
    assert all("rw-secret" not in line for line in records.script.splitlines() if line.startswith("curl"))
    assert "rw-secret" in records.script
    assert "rw-secret" not in repr(Request("10.0.0.1", "llm.example", key=key))


def test_a_place_without_curl_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(without_curl(tmp_path)))
    with pytest.raises(RackwrightError, match="the controller: 0 of 1 requests finished; curl should be installed"):
        ask(FromController(), "PEM", (Request("127.0.0.1", "llm.example"),))


def test_an_address_that_refuses_is_a_response_with_a_problem():
    with socket.create_server(("127.0.0.1", 0)) as shut:
        port = shut.getsockname()[1]
    (response,) = ask(FromController(), "", (Request("127.0.0.1", "llm.example", port=port, scheme="http"),))
    assert response.status == 0
    assert response.problem
    assert response.unheard


def test_what_curl_could_not_even_ask_is_not_taken_for_a_refusal():
    (response,) = ask(FromController(), "", (Request("no address", "llm.example", scheme="http"),))
    assert response.status == 0
    assert response.problem
    assert not response.unheard


def test_a_stream_counts_only_to_its_end():
    chunk = json.dumps({"choices": [{"delta": {"content": "Red"}, "finish_reason": None}]})
    last = json.dumps({"choices": [{"delta": {"content": "."}, "finish_reason": "stop"}]})
    cut = Response(200, f"data: {chunk}\n\ndata: {last}\n", 0.1, "")
    whole = Response(200, f"{cut.body}\ndata: [DONE]\n", 0.1, "")
    assert (cut.text, cut.whole_stream) == ("Red.", False)
    assert (whole.text, whole.whole_stream) == ("Red.", True)


def test_a_stream_is_read_whole_whatever_stands_in_it():
    chunk = json.dumps({"choices": [{"delta": {"content": "a\u2028b\x85c"}}]}, ensure_ascii=False)
    assert Response(200, f"data: {chunk}\r\n\r\ndata: [DONE]\r\n", 0.1, "").text == "a\u2028b\x85c"


class Answers(BaseHTTPRequestHandler):
    """Names a replica in the first answer, and none in later ones."""

    replicas: ClassVar = ["gpu1/assistant@1"]

    def do_GET(self) -> None:
        self.send_response(200)
        if self.replicas:
            self.send_header("x-rackwright-replica", self.replicas.pop())
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class Endless(Answers):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                self.wfile.write(b"data: {}\n" * 65536)


def test_an_answer_without_an_end_is_cut_off_and_has_a_problem():
    with HTTPServer(("127.0.0.1", 0), Endless) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        request = Request("127.0.0.1", "llm.example", port=server.server_port, scheme="http")
        (response,) = ask(FromController(), "", (request,))
        server.shutdown()
    assert len(response.body) <= MOST_BYTES
    assert (response.exit_code, response.whole_stream) == (63, False)
    assert response.problem


@pytest.mark.parametrize(
    "choice", ["[" * 100_000, '{"choices": [7]}', '{"choices": 7}', '{"choices": [{"message": 7}]}', "7"]
)
def test_what_is_no_completion_has_no_text(choice: str):
    assert Response(200, choice, 0.1, "").text == ""


def test_an_answer_has_who_gave_it_where_the_gateway_tells():
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        request = Request("127.0.0.1", "llm.example", port=server.server_port, scheme="http")
        found = ask(FromController(), "", (request, request))
        server.shutdown()
    assert [(response.status, response.body, response.replica) for response in found] == [
        (200, "{}", "gpu1/assistant@1"),
        (200, "{}", ""),
    ]
