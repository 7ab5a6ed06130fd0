"""Which replica answered, by the access log of a gateway: real scripts, stand-ins for journal and clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle import through_gateways as module
from rackwright.lifecycle.asking import FromHost, Request, Response
from rackwright.lifecycle.through_gateways import TRIES, through_gateways
from tests.lifecycle.proving import Moved, site_of

JOURNALCTL = """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -g) pattern=$2 ;; -n) count=$2 ;; esac; shift; done
tac "$LINES_OF_JOURNAL" | grep -E -e "$pattern" | head -n "$count"
"""
MESSAGE = {"message": {"role": "assistant", "content": "Red"}, "finish_reason": "stop"}
CHUNK = {"delta": {"content": "Red"}, "finish_reason": "stop"}
COMPLETION = json.dumps({"choices": [MESSAGE]})
STREAM = f"data: {json.dumps({'choices': [CHUNK]})}\n\ndata: [DONE]\n\n"


def access(request: str, replica: str | None) -> str:
    told = {"format": "access/1", "time": "2026-11-25T04:28:12.656Z", "request": request, "key": "proof"}
    told |= {"model": "assistant", "replica": replica, "digest": None, "path": "/v1/chat/completions"}
    told |= {"stream": None, "status": 200, "end": "completed", "bytes": 1, "queued_ms": 0}
    return json.dumps(told | {"first_byte_ms": 1, "total_ms": 1, "prompt_tokens": 1, "completion_tokens": 1})


class Gateway:
    """A stand-in: requests are answered by these replicas in turn, the last one for ever."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site_of({"gate1": Moved("gate1", folder=folder)})
        self.site.trusted, self.site.gateways = "PEM", SimpleNamespace(temporary_key=self.lend)
        self.by = ["gpu1/assistant@1"]
        self.asked: list[str] = []
        self.lent = False
        self.broken: str | None = None
        self.said: list[str] = []
        self.lines = folder / "lines"
        self.lines.touch()
        (folder / "journalctl").write_text(JOURNALCTL)
        (folder / "journalctl").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setenv("LINES_OF_JOURNAL", str(self.lines))
        monkeypatch.setattr(module, "ask", self.ask)

    @contextmanager
    def lend(self, sha256: str, *, id: str, seconds: int) -> Iterator[None]:
        self.lent = True
        yield
        self.lent = False

    def ask(self, asker: object, authority: str, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        assert self.lent
        return tuple(self.answer(json.loads(request.body or "{}")["stream"]) for request in requests)

    def answer(self, stream: bool) -> Response:
        number = f"request-{len(self.asked)}-"
        self.asked.append("stream" if stream else "completion")
        replica = self.by.pop(0) if len(self.by) > 1 else self.by[0]
        with self.lines.open("a") as lines:
            print(access(number, replica), file=lines)
        if self.broken == replica:
            return Response(503, "no", 0.1, "", 0, number)
        return Response(200, STREAM if stream else COMPLETION, 0.1, "", 0, number)

    def prove(self) -> str | None:
        return through_gateways(self.site, self.site.fleet.replicas[0], say=self.said.append)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return Gateway(tmp_path, monkeypatch)


def test_a_replica_that_answers_at_once_is_asked_once_for_each(gateway: Gateway) -> None:
    assert gateway.prove() is None
    assert gateway.asked == ["completion", "stream"]
    assert (gateway.said, gateway.lent) == ([], False)


def test_what_another_answered_is_asked_again_and_nothing_else(gateway: Gateway) -> None:
    gateway.by = ["gpu1/assistant@1", "gpu2/assistant@1", "gpu2/assistant@1", "gpu1/assistant@1"]
    assert gateway.prove() is None
    assert gateway.asked == ["completion", "stream", "stream", "stream"]
    assert gateway.said == []


def test_where_others_always_answer_it_is_said(gateway: Gateway) -> None:
    gateway.by = ["gpu1/assistant@1", "gpu2/assistant@1"]
    assert gateway.prove() is None
    assert len(gateway.asked) == 1 + TRIES
    assert gateway.said == [f"gate1: a stream: others answered, {TRIES} times"]


def test_where_the_log_is_silent_that_is_said(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIND", "true\n")
    assert gateway.prove() is None
    assert gateway.said == [
        f"gate1: a completion and a stream: the access log doesn't tell who answered, {TRIES} times"
    ]


def test_a_bad_answer_is_told_with_who_gave_it(gateway: Gateway) -> None:
    gateway.broken = "gpu1/assistant@1"
    assert gateway.prove() == "gate1: assistant: a completion: HTTP 503  no (from gpu1/assistant@1)"
    assert gateway.lent is False


def test_where_clients_stand_nowhere_within_reach_the_gateway_asks_itself() -> None:
    site = site_of({}, firewall={"admin_from": ["10.0.0.0/8"], "clients_from": ["198.51.100.0/24"]})
    asker = module._asker(site, "gate1")
    assert isinstance(asker, FromHost)
    assert asker.host == "gpu1"
    site.models = {}
    asker = module._asker(site, "gate1")
    assert isinstance(asker, FromHost)
    assert asker.host == "gate1"


def test_without_gateways_nothing_is_asked() -> None:
    site: Any = SimpleNamespace(fleet=SimpleNamespace(gateways=()))
    assert through_gateways(site, None) is None
