"""What counts as a proof through the gateways, with a stand-in for their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import ProofError
from rackwright.lifecycle.client.request import FromHost, Request, Response
from rackwright.lifecycle.proof import through_gateways as module
from rackwright.lifecycle.proof.through_gateways import through_gateways
from tests.lifecycle.proving import Moved, site_of

MESSAGE = {"message": {"role": "assistant", "content": "Red"}, "finish_reason": "stop"}
CHUNK = {"delta": {"content": "Red"}, "finish_reason": "stop"}
COMPLETION = json.dumps({"choices": [MESSAGE]})
STREAM = f"data: {json.dumps({'choices': [CHUNK]})}\n\ndata: [DONE]\n\n"


class Gateway:
    """A stand-in for gate1: the state of gpu1/assistant@1 there, and the replicas that answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = site_of({"gate1": Moved("gate1", folder=folder)})
        self.session.trusted, self.session.gateways = "PEM", self
        self.by, self.status, self.stream, self.up = "gpu1/assistant@1", 200, STREAM, True
        self.asked: list[str] = []
        self.lent: list[str] = []
        monkeypatch.setattr(module, "ask", self.ask)

    def servers(self) -> dict[str, Any]:
        return {"gpu1/assistant@1": SimpleNamespace(up=self.up)}

    @contextmanager
    def temporary_key(self, sha256: str, *, id: str, seconds: int, server: str) -> Iterator[None]:
        self.lent.append(server)
        yield
        self.lent.pop()

    def ask(self, asker: FromHost, ca: str, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        assert self.lent == ["gpu1.assistant.1.8100"]
        assert (asker.host, ca) == ("gate1", "PEM")
        return tuple(self.answer(json.loads(request.body or "{}")["stream"]) for request in requests)

    def answer(self, stream: bool) -> Response:
        self.asked.append("stream" if stream else "completion")
        body = (self.stream if stream else COMPLETION) if self.status == 200 else "no"
        return Response(self.status, body, 0.1, "", 0, self.by)

    def prove(self) -> str | None:
        told = through_gateways(self.session, self.session.fleet.replicas[0])
        assert self.lent == []
        return told


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return Gateway(tmp_path, monkeypatch)


def test_a_completion_and_a_stream_of_its_own_prove_it(gateway: Gateway) -> None:
    assert gateway.prove() is None
    assert gateway.asked == ["completion", "stream"]


def test_one_that_a_gateway_does_not_find_up_is_not_asked(gateway: Gateway) -> None:
    gateway.up = False
    assert gateway.prove() == "it isn't up at the gateways"
    assert gateway.asked == []


def test_what_another_answered_proves_nothing(gateway: Gateway) -> None:
    gateway.by = "gpu2/assistant@1"
    assert gateway.prove() == "gate1: assistant: a completion: gpu2/assistant@1 answered instead"


def test_gateways_that_do_not_tell_who_answered_prove_nothing(gateway: Gateway) -> None:
    gateway.by = ""
    told = gateway.prove()
    wanted = "the gateway doesn't report which replica answered: run rackwright apply"
    assert told == f"gate1: assistant: a completion: {wanted}"


@pytest.mark.parametrize("status", [0, 502, 503, 504])
def test_what_a_proxy_answers_for_it_is_waited_for(gateway: Gateway, status: int) -> None:
    gateway.status = status
    assert gateway.prove() == f"gate1: assistant: a completion: HTTP {status}  no"


def test_a_bad_answer_of_its_own_ends_it(gateway: Gateway) -> None:
    gateway.status = 500
    with pytest.raises(ProofError, match="gpu1/assistant@1: gate1: assistant: a completion: HTTP 500  no"):
        gateway.prove()


def test_a_stream_that_is_cut_ends_it(gateway: Gateway) -> None:
    gateway.stream = STREAM.partition("data: [DONE]")[0]
    with pytest.raises(ProofError, match="gate1: assistant: a stream: HTTP 200"):
        gateway.prove()


def test_without_gateways_nothing_is_asked() -> None:
    session: Any = SimpleNamespace(fleet=SimpleNamespace(gateways=()))
    replica: Any = None
    assert through_gateways(session, replica) is None
