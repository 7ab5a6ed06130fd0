"""A worker that was replaced gets requests over connections that clients keep, and passes them on."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest, eventually, running_stack
from tests.gateway.test_canary import with_two_replicas
from tests.gateway.test_gap import held

FIRST, SECOND = "gpu1/assistant@1", "gpu1/assistant@2"
KEPT = 10


@pytest.fixture(scope="module")
def pair() -> Iterator[Stack]:
    """A gateway with two replicas of a model."""
    with running_stack() as stack:
        models = (with_two_replicas(stack), stack.settings.models[1])
        stack.write(stack.settings.model_copy(update={"models": models, "queue_seconds": 30}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def gateways(pair: Stack) -> Iterator[Gateways]:
    with pair.gateways() as gateways:
        for address in (FIRST, SECOND):
            gateways.ready(address)
        eventually(lambda: all(state.up for state in gateways.servers().values()))
        eventually(lambda: len(pair.gateway.workers) == 1)
        yield gateways
        gateways.close_gap("assistant")


@pytest.fixture
def kept(pair: Stack, gateways: Gateways) -> Iterator[list[HTTPSConnection]]:
    """Connections as the pools of SDKs have them: asked once, and kept."""
    connections = [pair.connect() for _ in range(KEPT)]
    for connection in connections:
        ask(pair, connection)
    yield connections
    for connection in connections:
        connection.close()


def ask(stack: Stack, connection: HTTPSConnection, key: str = "good") -> tuple[int, str | None]:
    body = json.dumps({"model": "assistant", "messages": []})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEYS[key]}"})
    response = connection.getresponse()
    response.read()
    return response.status, stack.log.line(response.getheader("x-request-id") or "-").replica


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_is_drained_after_a_reload_gets_none_of_them(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection], *, by_hand: bool
) -> None:
    pair.gateway.reload()
    gateways.drain(FIRST, who="ada", reason="update", by_hand=by_hand)
    assert len(pair.gateway.workers) == 2
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_what_was_returned_after_a_reload_gets_its_part(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    for address in (FIRST, SECOND):
        gateways.drain(address, who="ada", reason="update", by_hand=True)
    pair.gateway.reload()
    gateways.ready(SECOND)
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_a_key_that_is_revoked_after_a_reload_opens_nothing(
    pair: Stack, gateways: Gateways, kept: list[HTTPSConnection]
) -> None:
    key = Key(id="limited", sha256=digest(KEYS["limited"]))
    gateways.put_key(key, note="{}")
    assert ask_status(kept[0], "limited") == 200
    pair.gateway.reload()
    gateways.remove_key(key, note="{}")
    assert [ask_status(connection, "limited") for connection in kept] == [401] * KEPT


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
    gateways.drain(FIRST, who="ada", reason="update", by_hand=True)
    assert Counter(ask(pair, connection) for connection in kept) == {(200, SECOND): KEPT}


def test_held_requests_go_to_no_replica_that_is_drained_by_hand(pair: Stack, gateways: Gateways) -> None:
    gateways.drain(SECOND, who="ada", reason="fan", by_hand=True)
    gateways.drain(FIRST, who="run", reason="update", by_hand=False)
    gateways.open_gap("assistant", 60)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, pair, pair.connect()) for _ in range(8)]
        eventually(lambda: held(pair, 8))
        pair.gateway.reload()
        gateways.ready(FIRST)
        assert Counter(one.result() for one in asked) == {(200, FIRST): 8}


def test_where_there_is_no_next_one_it_answers_itself() -> None:
    with running_stack() as stack:
        connection = stack.connect()
        ask(stack, connection)
        stack.gateway.process.send_signal(signal.SIGUSR1)
        assert ask(stack, connection) == (200, FIRST)
        stack.gateway.process.wait(60)
        # What the stack ends it with.
        stack.gateway.start()
