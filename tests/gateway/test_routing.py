"""Requests of one conversation go to the replica that has computed its beginning: real HAProxy, stand-in engines."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.roles.gateway.configuration import NEVER_BUSY
from rackwright.roles.gateway.settings import RoutedModel
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import Stack, eventually, running_stack, second_gateway
from tests.gateway.test_canary import Turns, going_on, opening, with_two_replicas

CONVERSATIONS = range(61)
"""Not a multiple of the number of replicas: turn by turn, each would get the same ones again."""


def with_three_replicas(stack: Stack) -> RoutedModel:
    """The third replica is another name for the second one."""
    model = with_two_replicas(stack)
    first, second = model.servers
    third = second.model_copy(update={"replica": "assistant@3"})
    return model.model_copy(update={"servers": (first, second, third), "by_prefix": True})


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    with running_stack() as stack:
        assistant, coder = with_three_replicas(stack), stack.settings.models[1]
        stack.write(stack.settings.model_copy(update={"models": (assistant, coder)}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def routed(own: Stack) -> Stack:
    own.reset()
    eventually(lambda: all(own.up(server.name) for server in own.settings.models[0].servers))
    return own


def body(turns: Turns, **others: object) -> dict[str, object]:
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"messages": messages, "model": "assistant", **others}


def ask(stack: Stack, turns: Turns, *, conversation: str = "", escaped: bool = True, **others: object) -> str | None:
    """Return the replica that answered."""
    headers = {"x-conversation-id": conversation} if conversation else {}
    text = json.dumps(body(turns, **others), ensure_ascii=escaped)
    response = stack.send(body=text.encode(), headers=headers)
    assert response.status == 200
    response.read()
    return stack.log.line(response.getheader("x-request-id") or "-").replica


def test_a_conversation_stays_with_its_replica_and_each_replica_has_its_own(routed: Stack) -> None:
    first = [ask(routed, opening(number)) for number in CONVERSATIONS]
    later = [ask(routed, going_on(number)) for number in CONVERSATIONS]
    assert first == later
    counts = Counter(first)
    assert len(counts) == 3
    assert min(counts.values()) >= 10


def test_instructions_and_escapes_change_nothing(routed: Stack) -> None:
    system: Turns = [("system", "Be brief.")]
    for number in range(10):
        turns: Turns = [*system, ("user", f'Grüße, Nr. {number} 😀 \\u00fc "/\n')]
        answered: Turns = [*turns, ("assistant", "Ja."), ("user", "Und dann?")]
        assert ask(routed, turns) == ask(routed, answered, escaped=False) == ask(routed, answered)


def test_a_client_may_name_its_conversation(routed: Stack) -> None:
    replicas = {ask(routed, opening(number), conversation="mine") for number in range(10)}
    assert len(replicas) == 1


def test_a_drain_moves_only_the_conversations_that_it_must(routed: Stack) -> None:
    before = {number: ask(routed, opening(number)) for number in CONVERSATIONS}
    drained, server = "gpu1/assistant@1", routed.settings.models[0].servers[0].name
    routed.gateway.ask(f"set server model.assistant/{server} state drain")
    during = {number: ask(routed, going_on(number)) for number in CONVERSATIONS}
    routed.gateway.ask(f"set server model.assistant/{server} state ready")
    assert drained not in during.values()
    assert {number for number in CONVERSATIONS if during[number] != before[number]} == {
        number for number in CONVERSATIONS if before[number] == drained
    }
    assert {number: ask(routed, going_on(number)) for number in CONVERSATIONS} == before


def test_an_outage_moves_only_the_conversations_that_it_must(routed: Stack) -> None:
    before = {number: ask(routed, opening(number)) for number in CONVERSATIONS}
    routed.agents["assistant"].state = "down"
    eventually(lambda: routed.down(routed.settings.models[0].servers[0].name))
    during = {number: ask(routed, going_on(number)) for number in CONVERSATIONS}
    gone = {number for number in CONVERSATIONS if before[number] == "gpu1/assistant@1"}
    assert {number for number in CONVERSATIONS if during[number] != before[number]} == gone


def test_a_busy_replica_spills_over(routed: Stack) -> None:
    replicas: list[str | None] = []
    for engine in routed.engines.values():
        engine.hold = True
    asking = [
        threading.Thread(target=lambda: replicas.append(ask(routed, opening(1)))) for _ in range(NEVER_BUSY + 1)
    ]
    for count, thread in enumerate(asking, start=1):
        thread.start()
        eventually(lambda count=count: busy(routed) == count)
    for engine in routed.engines.values():
        engine.let_go(10)
    for thread in asking:
        thread.join()
    assert sorted(Counter(replicas).values()) == [1, NEVER_BUSY]


def busy(stack: Stack) -> int:
    """Return how many requests the engines have."""
    rows = stack.gateway.ask("show servers conn model.assistant").splitlines()
    return sum(int(row.split()[6]) for row in rows if row.startswith("model.assistant/"))


def test_every_gateway_chooses_the_same_replica(routed: Stack) -> None:
    first = [ask(routed, opening(number)) for number in CONVERSATIONS]
    with second_gateway(routed) as second, closing(LogSink(Path(second.gateway.paths.log))) as log:
        eventually(lambda: all(second.up(server.name) for server in second.settings.models[0].servers))
        assert [ask(replace(second, log=log), opening(number)) for number in CONVERSATIONS] == first


def test_a_large_request_goes_where_its_conversation_is(routed: Stack) -> None:
    for number in range(5):
        turns: Turns = [("user", f"{number}" + "x" * 400_000)]
        assert ask(routed, turns) == ask(routed, [*turns, ("assistant", "Yes."), ("user", "And?")])


def test_without_it_the_least_busy_replica_is_chosen(own: Stack) -> None:
    own.reset()
    before = own.settings
    least_busy = before.models[0].model_copy(update={"by_prefix": False})
    own.write(before.model_copy(update={"models": (least_busy, before.models[1])}))
    own.gateway.reload()
    assert len({ask(own, opening(1)) for _ in range(6)}) == 3
    own.write(before)
    own.gateway.reload()
