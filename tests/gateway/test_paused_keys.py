"""Whose requests end an engine: noted by root when the engine's unit stops, and paused at that replica."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from rackwright.roles.host_proxy.configuration import PAUSE_SECONDS, REMEMBERED_SECONDS
from rackwright.roles.host_proxy.settings import KEY_HEADER
from rackwright.roles.probe import scripts
from tests.gateway.stack import KEYS, Stack, eventually
from tests.roles.serving import PROBE

MODEL = "coder"
"""Two keys may use it."""
CODER = PROBE.model_copy(update={"replica": f"{MODEL}@1"})


class Ends:
    """The end of the replica's unit, again and again: systemd's own part is a stand-in."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.started = folder / "unit.sha256"
        self.start(60)
        (folder / "job").touch()
        asked = f'case $* in *" Job "*) cat "{folder}/job" ;; *) cat "{folder}/exited" ;; esac'
        programs = {"systemctl": asked, "systemd-cat": f"cat >>{folder}/logged"}
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)

    def start(self, seconds_ago: float) -> None:
        """The engine that ends next was started then."""
        self.started.touch()
        os.utime(self.started, (time.time() - seconds_ago,) * 2)

    def end(self, result: str = "core-dump", status: str = "SEGV", ago: float = 0) -> None:
        exited = datetime.fromtimestamp(time.time() - ago, UTC)
        (self.folder / "exited").write_text(f"{exited:%a %Y-%m-%d %H:%M:%S.%f} UTC\n")
        for kind, render in (("ended", scripts.ended), ("pause", scripts.pause)):
            text = render(CODER, self.stack.host_proxy.paths).replace(f"{scripts.STATES}/", f"{self.folder}/")
            text = text.replace(f"started={scripts.STARTED}/{CODER.replica}/unit.sha256", f"started={self.started}")
            (self.folder / f"x.{kind}").write_text(text)
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "SERVICE_RESULT": result,
            "INVOCATION_ID": "i",
            "EXIT_STATUS": status,
        }
        subprocess.run(["sh", f"{self.folder}/x.ended"], env=environment, check=True, timeout=60)

    def hang(self, since: float, invocation: str = "i") -> None:
        """The probe kills the engine, which has not moved since then."""
        moved = time.clock_gettime(time.CLOCK_BOOTTIME) - (time.time() - since)
        state = f"state=hung\nreason=it has not answered\nmoved={int(moved)}\ninvocation={invocation}\n"
        (self.folder / CODER.replica).write_text(state)
        self.end("signal", "KILL")

    def end_by(self, key: str, times: int) -> None:
        for _ in range(times):
            self.stack.send(MODEL, key=key).read()
            self.end()

    def kept(self, name: str) -> list[str]:
        path = self.folder / f"{CODER.replica}.{name}"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def ends(stack: Stack, tmp_path: Path) -> Iterator[Ends]:
    def forget() -> None:
        for table in ("starts", "asking", "paused"):
            stack.host_proxy.ask(f"clear table {table}")

    forget()
    yield Ends(stack, tmp_path)
    forget()


def unanswered(stack: Stack, key: str) -> HTTPSConnection:
    """Send a request to an engine that doesn't answer."""
    connection = stack.connect()
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": MODEL}), {"api-key": KEYS[key]})
    return connection


def outcome_at_host_proxy(stack: Stack, key: str) -> int:
    """Return the status of the host proxy's answer to a gateway that asks for this key."""
    certificate, (_, coder) = stack.folder / "gateway-client", stack.proxied.replicas
    context = ssl.create_default_context(cadata=stack.ca.pem)
    context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key.cred")
    connection = HTTPSConnection("127.0.0.1", coder.port, context=context, timeout=60)
    connection.request("POST", "/v1/completions", "{}", {KEY_HEADER: key})
    return connection.getresponse().status


def outcome(stack: Stack, key: str, model: str = MODEL) -> str:
    """Return "answered", or the code of the error."""
    answer = stack.send(model, key=key)
    body = json.loads(answer.read())
    return str(body["error"]["code"]) if "error" in body else "answered"


def test_a_key_whose_requests_ended_an_engine_three_times_is_paused_there_and_others_go_on(ends: Ends) -> None:
    stack = ends.stack
    assert outcome(stack, "good") == "answered"
    ends.end_by("scoped", 2)
    assert outcome(stack, "scoped") == "answered"
    ends.end()
    refused = stack.send(MODEL, key="scoped")
    assert refused.status == 503
    assert json.loads(refused.read())["error"]["code"] == "key_paused"
    assert PAUSE_SECONDS - 60 < int(refused.getheader("retry-after") or 0) <= PAUSE_SECONDS
    assert outcome(stack, "good") == "answered"
    (kept,) = ends.kept("paused")
    until, key, times = kept.split()
    assert (key, times) == ("scoped", "3")
    assert 0 < int(until) - time.time() <= PAUSE_SECONDS
    assert "requests of the key scoped ended the engine 3 times" in (ends.folder / "logged").read_text()


def test_a_reload_of_the_host_proxy_keeps_the_pause(ends: Ends) -> None:
    assert outcome(ends.stack, "scoped") == "answered"
    ends.end_by("good", 3)
    ends.stack.host_proxy.reload()
    eventually(lambda: outcome(ends.stack, "good") == "key_paused")
    assert outcome(ends.stack, "scoped") == "answered"


def test_the_pause_is_for_one_replica(ends: Ends) -> None:
    assert outcome(ends.stack, "scoped") == "answered"
    ends.end_by("good", 3)
    assert outcome(ends.stack, "good") == "key_paused"
    assert outcome(ends.stack, "good", "assistant") == "answered"


def test_a_key_that_nobody_shares_the_replica_with_is_not_paused(ends: Ends) -> None:
    ends.end_by("good", 4)
    assert outcome(ends.stack, "good") == "answered"
    assert len(ends.kept("ended")) == 4


def test_the_last_request_before_the_end_counts(ends: Ends) -> None:
    for key in ("scoped", "good", "scoped"):
        assert outcome(ends.stack, key) == "answered"
    ends.end()
    # This one found no engine any more.
    moment = time.time()
    assert outcome(ends.stack, "good") == "answered"
    ends.end(ago=time.time() - moment)
    assert [line.split()[1] for line in ends.kept("ended")] == ["scoped", "scoped"]


def test_a_request_that_was_not_answered_counts_before_those_that_were(ends: Ends) -> None:
    engine = ends.stack.engines[MODEL]
    engine.hold = True
    waiting = unanswered(ends.stack, "scoped")
    eventually(lambda: engine.requests)
    engine.hold = False
    assert outcome(ends.stack, "good") == "answered"
    ends.end()
    assert [line.split()[1] for line in ends.kept("ended")] == ["scoped"]
    waiting.close()


@pytest.mark.parametrize(
    ("result", "status"),
    [("success", "0"), ("signal", "KILL"), ("signal", "TERM"), ("timeout", "KILL"), ("watchdog", "ABRT"), ("", "")],
)
def test_an_engine_that_was_stopped_blames_nobody(ends: Ends, result: str, status: str) -> None:
    assert outcome(ends.stack, "good") == "answered"
    ends.end(result, status)
    assert ends.kept("ended") == []


@pytest.mark.parametrize(
    ("result", "status"),
    [("signal", "SEGV"), ("signal", "ABRT"), ("core-dump", "SEGV"), ("exit-code", "1"), ("oom-kill", "KILL")],
)
def test_an_engine_that_ended_by_itself_does(ends: Ends, result: str, status: str) -> None:
    assert outcome(ends.stack, "good") == "answered"
    ends.end(result, status)
    assert [line.split()[1] for line in ends.kept("ended")] == ["good"]


def test_an_engine_that_hangs_blames_whoever_it_did_not_answer_then_and_one_key_at_a_time(ends: Ends) -> None:
    stack, engine = ends.stack, ends.stack.engines[MODEL]
    assert outcome(stack, "good") == "answered"
    engine.hold = True
    for hang in range(3):
        since = time.time()
        waiting = [unanswered(stack, key) for key in ("scoped", "good", "good")]
        eventually(lambda many=4 + 3 * hang: len(engine.requests) == many)
        ends.hang(since)
        for connection in waiting:
            connection.close()
    assert sorted(line.split()[1] for line in ends.kept("ended")) == ["good"] * 3 + ["scoped"] * 3
    engine.hold = False
    engine.let_go(100)
    # Which one is left to chance: a client could aim at every rule.
    assert sorted(outcome(stack, key) for key in ("scoped", "good")) == ["answered", "key_paused"]


def test_requests_that_were_answered_or_came_long_after_did_not_make_it_hang(ends: Ends) -> None:
    assert outcome(ends.stack, "good") == "answered"
    ends.hang(time.time())
    assert ends.kept("ended") == []
    engine = ends.stack.engines[MODEL]
    engine.hold = True
    waiting = unanswered(ends.stack, "good")
    eventually(lambda: len(engine.requests) == 2)
    ends.hang(time.time() - scripts.ENDED_WITHIN - 5)
    ends.hang(time.time(), invocation="of an earlier engine")
    assert ends.kept("ended") == []
    ends.hang(time.time())
    assert [line.split()[1] for line in ends.kept("ended")] == ["good"]
    waiting.close()


def test_a_request_that_waits_for_a_slot_did_not_end_the_engine_until_it_has_one(ends: Ends) -> None:
    """Requests of several gateways may wait at the host proxy."""
    stack, engine = ends.stack, ends.stack.engines[MODEL]
    (slots,) = [one.slots for one in stack.proxied.replicas if one.replica == CODER.replica]
    engine.hold = True
    with ThreadPoolExecutor(slots + 1) as pool:
        for many in range(1, slots + 1):
            pool.submit(outcome_at_host_proxy, stack, "good")
            eventually(lambda many=many: len(engine.requests) == many)
        waits = pool.submit(outcome_at_host_proxy, stack, "scoped")
        eventually(lambda: "/scoped/" in stack.host_proxy.ask("show table starts"))
        began = time.time()
        ends.end()
        ends.hang(began)
        assert {line.split()[1] for line in ends.kept("ended")} == {"good"}
        engine.let_go()
        eventually(lambda: len(engine.requests) == slots + 1)
        (ends.folder / f"{CODER.replica}.ended").unlink()
        # The others had begun long before the engine stopped working.
        ends.hang(began + scripts.ENDED_WITHIN + 20)
        assert [line.split()[1] for line in ends.kept("ended")] == ["scoped"]
        engine.hold = False
        engine.let_go(100)
        assert waits.result() == 200


def test_headers_without_an_answer_are_no_answer(ends: Ends) -> None:
    engine = ends.stack.engines[MODEL]
    engine.hold = engine.late = True
    connection = ends.stack.connect()
    body = json.dumps({"model": MODEL, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"api-key": KEYS["good"]})
    eventually(engine.began.is_set)
    ends.hang(time.time())
    assert [line.split()[1] for line in ends.kept("ended")] == ["good"]
    connection.close()


def test_a_request_that_found_no_engine_did_not_make_the_next_one_hang(ends: Ends) -> None:
    agent = ends.stack.agents[MODEL]
    agent.state = "down"
    eventually(lambda: outcome_at_host_proxy(ends.stack, "good") == 503)
    agent.state = "up ready"
    eventually(lambda: outcome_at_host_proxy(ends.stack, "scoped") == 200)
    ends.hang(time.time())
    assert ends.kept("ended") == []


def test_an_engine_that_ends_with_an_error_while_it_is_stopped_blames_nobody(ends: Ends) -> None:
    assert outcome(ends.stack, "good") == "answered"
    (ends.folder / "job").write_text("4711\n")
    ends.end("exit-code", "1")
    assert ends.kept("ended") == []


def test_a_request_that_began_long_before_the_end_or_before_the_engine_did_not_end_it(ends: Ends) -> None:
    assert outcome(ends.stack, "good") == "answered"
    ends.end(ago=-scripts.ENDED_WITHIN - 1)
    ends.start(-1)
    ends.end(ago=-2)
    assert ends.kept("ended") == []


def test_what_happened_long_ago_is_forgotten(ends: Ends) -> None:
    assert outcome(ends.stack, "good") == "answered"
    old = int(time.time()) - REMEMBERED_SECONDS - 1
    (ends.folder / f"{CODER.replica}.ended").write_text(f"{old} scoped\n" * 5)
    (ends.folder / f"{CODER.replica}.paused").write_text(f"{old} gone 3\n")
    ends.end_by("scoped", 2)
    assert outcome(ends.stack, "scoped") == "answered"
    ends.end_by("scoped", 1)
    assert [line.split()[1] for line in ends.kept("paused")] == ["scoped"]


def test_the_gateway_says_whose_request_it_is_and_the_engine_does_not_learn_it(ends: Ends) -> None:
    ends.stack.send(MODEL, key="good", headers={KEY_HEADER: "scoped"}).read()
    assert KEY_HEADER not in ends.stack.engines[MODEL].requests[-1].headers
    ends.end()
    assert [line.split()[1] for line in ends.kept("ended")] == ["good"]


def test_a_host_proxy_without_an_answer_pauses_nobody(ends: Ends) -> None:
    assert outcome(ends.stack, "good") == "answered"
    ends.stack.host_proxy.ask("clear table starts")
    ends.end()
    assert ends.kept("ended") == []
