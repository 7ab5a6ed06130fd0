"""A replaced worker gets requests over connections that clients keep open, and passes them on."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.access_log import Access
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest, eventually, gone, running_stack
from tests.gateway.test_canary import with_two_replicas
from tests.gateway.test_downtime import waiting

FIRST, SECOND = "gpu1/assistant@1", "gpu1/assistant@2"
KEPT = 10


@pytest.fixture(scope="module")
def pair() -> Iterator[Stack]:
    """A gateway with two replicas of a model."""
    with running_stack() as stack:
        models = (with_two_replicas(stack), stack.settings.models[1])
        stack.write(stack.settings.model_copy(update={"models": models, "queue_timeout_seconds": 30}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def gateways(pair: Stack) -> Iterator[Gateways]:
    with pair.gateways() as gateways:
        for engine in pair.engines.values():
            engine.steps = threading.Semaphore(0)
        for address in (FIRST, SECOND):
            gateways.undrain(address)
        eventually(lambda: all(state.up for state in gateways.servers().values()))
        pair.gateway.wait_for_replaced()
        yield gateways
        gateways.close_downtime("assistant")
        gateways.end_canary("assistant")
        for engine in pair.engines.values():
            engine.hold = False
            engine.let_go(100)


@pytest.fixture
def kept(pair: Stack, gateways: Gateways) -> Iterator[list[HTTPSConnection]]:
    """Connections like those in the pools of SDKs: each has carried one request and stays open."""
    connections = [pair.connect() for _ in range(KEPT)]
    for connection in connections:
        ask(pair, connection)
    yield connections
    for connection in connections:
        connection.close()


def ask(stack: Stack, connection: HTTPSConnection, key: str = "good") -> tuple[int, str | None]:
    seen = ask_and_log(stack, connection, key)
    return seen.status, seen.replica


def ask_and_log(stack: Stack, connection: HTTPSConnection, key: str = "good") -> Access:
    body = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEYS[key]}"})
    response = connection.getresponse()
    response.read()
    return stack.log.line(response.getheader("x-request-id") or "-")


@pytest.mark.parametrize("manual", [True, False])
def test_what_is_drained_after_a_reload_gets_none_of_them(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection], *, manual: bool
) -> None:
    pair.gateway.reload()
    gateways.drain(FIRST, who="ada", reason="update", manual=manual)
    assert len(pair.gateway.workers) == 2
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_a_replica_that_is_undrained_after_a_reload_gets_its_part(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    for address in (FIRST, SECOND):
        gateways.drain(address, who="ada", reason="update", manual=True)
    pair.gateway.reload()
    gateways.undrain(SECOND)
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_a_key_that_is_revoked_after_a_reload_opens_nothing(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    key = Key(id="limited", sha256=digest(KEYS["limited"]))
    gateways.put_key(key, note="{}")
    assert ask_status(kept[0], "limited") == 200
    pair.gateway.reload()
    gateways.remove_key(gone(key), note="{}")
    assert [ask_status(connection, "limited") for connection in kept] == [401] * KEPT
    pair.gateway.forget_keys()


def ask_status(connection: HTTPSConnection, key: str) -> int:
    connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS[key]}"})
    response = connection.getresponse()
    response.read()
    return response.status


def test_each_has_one_line_in_the_log_and_one_id(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    pair.gateway.reload()
    before = len(pair.log.lines)
    connection = kept[0]
    connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS['good']}"})
    response = connection.getresponse()
    response.read()
    ids = response.headers.get_all("x-request-id")
    assert ids is not None
    assert len(ids) == 1
    pair.log.line(ids[0])
    assert len(pair.log.lines) == before + 1


def test_two_reloads_later_it_is_passed_on_twice(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    pair.gateway.reload()
    pair.gateway.reload()
    gateways.drain(FIRST, who="ada", reason="update", manual=True)
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_queued_requests_go_to_no_manually_drained_replica(pair: Stack, gateways: Gateways) -> None:
    gateways.drain(SECOND, who="ada", reason="fan", manual=True)
    gateways.drain(FIRST, who="run", reason="update", manual=False)
    gateways.open_downtime("assistant", 60)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, pair, pair.connect()) for _ in range(8)]
        eventually(lambda: waiting(pair, 8))
        pair.gateway.reload()
        gateways.undrain(FIRST)
        assert Counter(one.result() for one in asked) == {(200, FIRST): 8}


def test_a_queued_request_counts_once_and_its_time_in_the_queue_goes_on(pair: Stack, gateways: Gateways) -> None:
    gateways.put_key(Key(id="limited", sha256=digest(KEYS["limited"]), requests_per_minute=1), note="{}")
    for address in (FIRST, SECOND):
        gateways.drain(address, who="run", reason="update", manual=False)
    gateways.open_downtime("assistant", 60)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_and_log, pair, pair.connect(), "limited")
        eventually(lambda: looks(pair) > 20)
        pair.gateway.reload()
        eventually(lambda: looks(pair))
        gateways.undrain(FIRST)
        seen = asked.result()
    pair.gateway.forget_keys()
    assert (seen.status, seen.replica) == (200, FIRST)
    # Ten checks, a tenth of a second apart. The next worker's own time is a fraction of that.
    assert (seen.queued_ms or 0) >= 1000


def looks(stack: Stack) -> int:
    """Return how often the newest worker's only waiting request has woken."""
    sessions = stack.gateway.ask("show sess all").split("\n0x")
    found = [part for part in sessions if 'current_rule="lua.downtime"' in part]
    return int(re.findall(r" task=\S+ \(.*? calls=(\d+)", found[0])[0]) if found else 0


def test_what_comes_slowly_while_its_worker_is_replaced_is_passed_on(pair: Stack, gateways: Gateways) -> None:
    before = pair.settings
    assistant, coder = before.models
    body = json.dumps({"model": "newer", "messages": ["x" * 1000]}).encode()
    connection = pair.connect()
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("authorization", f"Bearer {KEYS['good']}")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[:500])
    eventually(lambda: 'current_rule="wait-for-body"' in pair.gateway.ask("show sess all"))
    renamed = assistant.model_copy(update={"names": (*assistant.names, "newer")})
    pair.write(before.model_copy(update={"models": (renamed, coder)}))
    pair.gateway.reload()
    pair.write(before)
    connection.send(body[500:])
    assert connection.getresponse().status == 200
    connection.close()
    pair.gateway.reload()


def test_what_waits_for_a_slot_in_an_old_worker_goes_to_no_drained_replica(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    for engine in pair.engines.values():
        engine.hold = True
    slots = sum(server.slots for server in pair.settings.models[0].servers)
    with ThreadPoolExecutor(KEPT) as pool:
        asked = [pool.submit(ask, pair, connection) for connection in kept]
        eventually(lambda: sum(len(engine.requests) for engine in pair.engines.values()) >= slots + KEPT)
        pair.gateway.reload()
        gateways.drain(FIRST, who="run", reason="update", manual=False)
        before = len(pair.engines["assistant"].requests)
        pair.engines["assistant"].let_go(100)
        eventually(lambda: gateways.in_flight(FIRST) == 0)
        pair.engines["coder"].let_go(100)
        assert Counter(one.result()[0] for one in asked) == {200: KEPT}
    assert len(pair.engines["assistant"].requests) == before


def test_a_stream_that_is_passed_on_comes_chunk_by_chunk(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    pair.gateway.reload()
    gateways.drain(SECOND, who="ada", reason="update", manual=True)
    pair.engines["assistant"].hold = True
    body = json.dumps({"model": "assistant", "messages": [], "stream": True})
    kept[0].request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEYS['good']}"})
    response = kept[0].getresponse()
    assert response.readline() == b"data: 0\n"
    assert gateways.in_flight(FIRST) == 1
    pair.engines["assistant"].let_go(100)
    assert response.read().endswith(b"[DONE]\n\n")


def test_a_canary_of_after_a_reload_gets_its_share_of_them(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    pair.gateway.reload()
    gateways.drain(SECOND, who="rollout", reason="update", manual=False)
    gateways.set_canary(SECOND, 100, digest="e" * 64, rollout="20261127T031500Z-a1b2")
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_a_keys_requests_at_a_time_hold_for_them(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    gateways.put_key(Key(id="limited", sha256=digest(KEYS["limited"]), concurrency=1), note="{}")
    pair.gateway.reload()
    for engine in pair.engines.values():
        engine.hold = True
    stream = pair.send(key="limited", stream=True)
    assert stream.readline() == b"data: 0\n"
    assert ask(pair, kept[0], "limited")[0] == 429
    pair.gateway.forget_keys()


def test_a_worker_that_does_not_know_that_it_was_replaced_learns_it_with_a_drain(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    """HAProxy was reloaded manually, or a reload failed halfway."""
    pair.gateway.ask("reload", "master")
    _, old = pair.gateway.workers
    asked = f"@!{old} get map {pair.gateway.paths.configuration}/replaced.map replaced"
    assert "found=no" in pair.gateway.ask(asked, "master")
    gateways.drain(FIRST, who="ada", reason="update", manual=True)
    assert "found=yes" in pair.gateway.ask(asked, "master")
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_one_that_reaches_no_next_one_is_answered_and_logged(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    pair.gateway.reload()
    there = Path(pair.gateway.paths.sockets, "next.sock")
    away = there.rename(there.with_name("away.sock"))
    try:
        kept[0].request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS['good']}"})
        response = kept[0].getresponse()
        response.read()
        seen = pair.log.line(response.getheader("x-request-id") or "-")
    finally:
        away.rename(there)
    assert (response.status, seen.status, seen.end) == (503, 503, "server_error")


def test_a_client_cant_speak_as_an_old_worker_does(pair: Stack, gateways: Gateways) -> None:
    assert Path(pair.gateway.paths.sockets, "next.sock").stat().st_mode & 0o7777 == 0o600
    connection = HTTPConnection("127.0.0.1", pair.settings.port, timeout=60)
    connection.connect()
    connection.sock.sendall(b"PROXY TCP4 10.9.9.9 10.9.9.9 1 2\r\nGET /v1/models HTTP/1.1\r\n\r\n")
    assert connection.sock.recv(1000) == b""


def test_where_there_is_no_next_one_it_answers_itself() -> None:
    with running_stack() as stack:
        connection = stack.connect()
        ask(stack, connection)
        stack.gateway.process.send_signal(signal.SIGUSR1)
        eventually(lambda: not listening(stack))
        assert ask(stack, connection) == (200, FIRST)
        stack.gateway.process.wait(60)
        # The stack stops this process at its end.
        stack.gateway.start()


def listening(stack: Stack) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", stack.settings.port)) == 0
