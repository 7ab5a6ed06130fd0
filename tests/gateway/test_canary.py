"""A canary on real gateways: a drained replica gets its share of conversations, each one entirely or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Gateways
from rackwright.roles.gateway.access_log import Access
from rackwright.roles.gateway.settings import RoutedModel, Server
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import DIGEST, KEYS, Stack, digest, eventually, running_stack, second_gateway
from tests.gateway.test_peers import connected, taught

RUNNING, CANARY = "gpu1/assistant@1", "gpu1/assistant@2"
NEW = "e" * 64
ROLLOUT = "20261127T031500Z-a1b2"
Turns = list[tuple[str, str]]


def with_two_replicas(stack: Stack) -> RoutedModel:
    """The engine of the second replica is the stand-in that also serves the other model."""
    assistant, coder = stack.settings.models
    second = Server(
        replica="assistant@2",
        host="gpu1",
        address=coder.servers[0].address,
        port=coder.servers[0].port,
        slots=coder.servers[0].slots,
    )
    return assistant.model_copy(update={"servers": (*assistant.servers, second)})


@dataclass(frozen=True)
class Tried:
    """Gateways in front of a model with two replicas. The second one is drained."""

    stack: Stack
    gateways: Gateways

    def give(self, percent: float, *, rollout: str = ROLLOUT, seconds: int = 300) -> None:
        self.gateways.set_canary(CANARY, percent, digest=NEW, rollout=rollout, seconds=seconds)

    def ask(self, turns: Turns, **request: str) -> Access:
        messages = [{"role": role, "content": content} for role, content in turns]
        return self.send({"model": "assistant", "messages": messages}, **request)

    def send(self, body: dict[str, object], *, path: str = "/v1/chat/completions", conversation: str = "") -> Access:
        headers = {"x-conversation-id": conversation} if conversation else {}
        response = self.stack.send(body=json.dumps(body).encode(), path=path, headers=headers)
        assert response.status == 200
        response.read()
        return self.stack.log.line(response.getheader("x-request-id") or "-")


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    with running_stack() as stack:
        model = with_two_replicas(stack)
        stack.write(stack.settings.model_copy(update={"models": (model, stack.settings.models[1])}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def tried(own: Stack) -> Iterator[Tried]:
    own.reset()
    with own.gateways() as gateways:
        eventually(lambda: gateways.servers()[CANARY].up)
        gateways.drain(CANARY, who="rollout", reason="update", manual=False)
        yield Tried(own, gateways)
        gateways.end_canary("assistant")
        gateways.undrain(CANARY)


def opening(number: int) -> Turns:
    return [("user", f"question {number}")]


def going_on(number: int) -> Turns:
    return [*opening(number), ("assistant", "an answer"), ("user", "and then?")]


def test_a_share_of_the_conversations_goes_to_the_canary_and_nothing_else(tried: Tried) -> None:
    tried.give(30)
    seen = [tried.ask(opening(number)) for number in range(100)]
    to_canary = [one for one in seen if one.canary]
    # 30 of 100, with a margin of more than four standard deviations.
    assert 10 <= len(to_canary) <= 50
    assert {(one.replica, one.digest) for one in to_canary} == {(CANARY, NEW)}
    assert {(one.replica, one.digest, one.canary) for one in seen if not one.canary} == {(RUNNING, DIGEST, False)}
    assert all(one.conversation is not None and (one.conversation < 300_000) is one.canary for one in seen)


def test_a_share_ends_between_two_buckets(tried: Tried) -> None:
    tried.give(50, rollout="edge")
    bucket = tried.ask(opening(1)).conversation
    assert bucket
    for share, to_canary in ((bucket, False), (bucket + 1, True)):
        tried.give(share / 10_000, rollout="edge")
        assert tried.ask(opening(1)).canary is to_canary


def test_a_conversation_keeps_its_version_while_the_share_grows(tried: Tried) -> None:
    tried.give(30, rollout="grows")
    began = [tried.ask(opening(number)).canary for number in range(30)]
    assert set(began) == {True, False}
    tried.give(50, rollout="grows")
    assert [tried.ask(going_on(number)).canary for number in range(30)] == began
    further = [[*going_on(number), ("assistant", "more"), ("user", "go on")] for number in range(30)]
    assert [tried.ask(turns).canary for turns in further] == began
    assert sum(bool(tried.ask(opening(number)).canary) for number in range(100, 160)) > 15


def test_what_began_before_the_canary_stays_where_it_is(tried: Tried) -> None:
    tried.give(100, rollout="late")
    seen = tried.ask(going_on(1))
    assert (seen.replica, seen.canary, seen.conversation, seen.digest) == (RUNNING, None, None, DIGEST)
    assert tried.ask([("system", "be brief"), *going_on(2)]).canary is None
    assert tried.ask([("system", "be brief"), *opening(3)]).canary is True


def test_clients_with_one_instruction_are_told_apart_by_their_first_message(tried: Tried) -> None:
    tried.give(50, rollout="instructed")
    seen = [tried.ask([("system", "be brief"), *opening(number)]).canary for number in range(20)]
    assert set(seen) == {True, False}
    assert [tried.ask([("system", "be brief"), *going_on(number)]).canary for number in range(20)] == seen


@pytest.mark.parametrize("turns", [[("user", "你好 {}")], [("system", "be brief"), ("user", "“Привет” {}")]])
def test_a_conversation_keeps_its_version_however_its_text_is_written(tried: Tried, turns: Turns) -> None:
    """Some clients write all characters beyond ASCII as \\uXXXX."""
    tried.give(50, rollout="escaped")
    opened = [[(role, text.format(number)) for role, text in turns] for number in range(20)]
    began = [tried.ask(one).canary for one in opened]
    assert set(began) == {True, False}
    assert [tried.ask([*one, ("assistant", "“好”"), ("user", "還有?")]).canary for one in opened] == began


def test_a_manually_drained_replica_gets_no_share(tried: Tried) -> None:
    tried.gateways.drain(CANARY, who="carla", reason="looks odd")
    with pytest.raises(HostError, match="an operator drained it manually"):
        tried.give(30)
    assert tried.gateways.servers()[CANARY].canary is None


def test_each_rollout_deals_conversations_out_again(tried: Tried) -> None:
    dealt = []
    for rollout in ("one", "two"):
        tried.give(50, rollout=rollout)
        dealt.append([tried.ask(opening(number)).canary for number in range(20)])
    assert dealt[0] != dealt[1]


def test_the_client_may_say_which_conversation_it_is(tried: Tried) -> None:
    tried.give(50, rollout="said")
    seen = [tried.ask(opening(number), conversation="talk-7").canary for number in range(12)]
    assert len(set(seen)) == 1
    others = {tried.ask(opening(1), conversation=f"talk-{number}").canary for number in range(20)}
    assert others == {True, False}


@pytest.mark.parametrize(
    ("path", "body", "kinds"),
    [
        ("/v1/completions", {"prompt": "Once upon a time {}"}, 2),
        ("/v1/completions", {"prompt": ["Once upon a time {}", "there"]}, 2),
        ("/v1/embeddings", {"input": "a text {}"}, 1),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "{}"}]}]}, 2),
    ],
)  # fmt: skip
def test_texts_are_dealt_out_one_by_one_and_vectors_by_client(
    tried: Tried, path: str, body: dict[str, object], kinds: int
) -> None:
    tried.give(50, rollout="kinds")
    bodies = [json.loads(json.dumps(body).replace("{}", str(number))) for number in range(20)]
    seen = [tried.send({"model": "assistant", **one}, path=path).canary for one in bodies]
    assert None not in seen
    assert len(set(seen)) == kinds


@pytest.mark.parametrize("end", ["ended", "none", "unrenewed", "drained"])
def test_without_a_share_the_canary_gets_nothing(tried: Tried, end: str) -> None:
    tried.give(100, rollout=end)
    assert tried.ask(opening(1)).replica == CANARY
    if end == "ended":
        tried.gateways.end_canary("assistant")
    elif end == "none":
        tried.give(0, rollout=end)
    elif end == "drained":
        tried.gateways.drain(CANARY, who="ada", reason="looks odd")
    else:
        tried.give(100, rollout=end, seconds=0)
    for turns in (opening(2), going_on(1)):
        seen = tried.ask(turns)
        assert (seen.replica, seen.canary, seen.digest) == (RUNNING, None, DIGEST)


def test_an_undrained_canary_takes_its_part_and_no_share(tried: Tried) -> None:
    tried.give(1, rollout="returned")
    tried.gateways.undrain(CANARY)
    assert tried.gateways.servers()[CANARY].canary is None
    assert {tried.ask(opening(number)).replica for number in range(8)} == {RUNNING, CANARY}
    assert "assistant" not in Path(tried.stack.gateway.paths.configuration, "canaries.map").read_text()


def test_the_state_of_a_canary_has_its_share(tried: Tried) -> None:
    tried.give(12.5)
    states = tried.gateways.servers()
    assert states[RUNNING].canary is None
    share = states[CANARY].canary
    assert share is not None
    assert (share.percent, share.rollout) == (12.5, ROLLOUT)
    assert (states[CANARY].drained, states[CANARY].takes_requests, states[CANARY].drained_manually) == (
        True,
        False,
        False,
    )
    tried.give(12.5, seconds=0)
    assert tried.gateways.servers()[CANARY].canary is None


def test_a_canary_that_falls_out_costs_no_request_and_is_told_of(tried: Tried) -> None:
    tried.give(100, rollout="falls")
    assert tried.ask(opening(1)).replica == CANARY
    tried.stack.agents["coder"].state = "down"
    eventually(lambda: not tried.gateways.servers()[CANARY].up)
    seen = tried.ask(opening(1))
    assert (seen.replica, seen.canary) == (RUNNING, True)


def test_share_and_conversations_outlive_a_reload(tried: Tried) -> None:
    tried.give(50, rollout="reloaded")
    began = [tried.ask(opening(number)).canary for number in range(20)]
    eventually(lambda: taught(tried.stack))
    tried.stack.gateway.reload()
    eventually(lambda: known(tried.stack) >= 20)
    assert [tried.ask(going_on(number)).canary for number in range(20)] == began
    assert set(began) == {True, False}


def known(stack: Stack) -> int:
    """Return for how many requests of conversations a gateway knows the version."""
    return stack.gateway.ask("show table gateways/conversations").count("key=")


def test_a_key_that_proves_one_replica_is_no_conversation(tried: Tried) -> None:
    tried.give(100)
    assistant = tried.stack.settings.models[0]
    with tried.gateways.temporary_key(digest(KEYS["limited"]), server=assistant.servers[0].name):
        body = json.dumps({"model": "assistant", "messages": []}).encode()
        response = tried.stack.send(body=body, key="limited")
        response.read()
        seen = tried.stack.log.line(response.getheader("x-request-id") or "-")
        assert (seen.replica, seen.canary) == (RUNNING, None)


def test_no_client_learns_which_replica_answered(tried: Tried) -> None:
    tried.give(100)
    response = tried.stack.send()
    response.read()
    assert response.getheader("x-rackwright-replica") is None


def test_a_replica_that_no_gateway_knows_gets_no_share(tried: Tried) -> None:
    with pytest.raises(HostError, match="this gateway has no such server"):
        tried.gateways.set_canary("gpu9/assistant@1", 5, digest=NEW, rollout=ROLLOUT)


def test_a_gateway_of_before_canaries_says_so(tried: Tried, own: Stack) -> None:
    tried.gateways.check_canaries()
    before = Path(own.gateway.paths.configuration, "haproxy.cfg")
    text = before.read_text()
    before.write_text(text.replace("canaries.map", "others.map"))
    own.gateway.reload()
    try:
        with pytest.raises(HostError, match=r"Unknown map identifier.*\(it runs with other files: apply first\)"):
            tried.gateways.check_canaries()
        with pytest.raises(HostError, match=r"Unknown map identifier.*\(it runs with other files: apply first\)"):
            tried.give(5)
    finally:
        before.write_text(text)
        own.gateway.reload()


def test_other_models_notice_nothing(tried: Tried) -> None:
    tried.give(100)
    seen = tried.send({"model": "coder", "messages": [{"role": "user", "content": "x"}]})
    assert (seen.replica, seen.canary, seen.digest) == ("gpu1/coder@1", None, DIGEST)


@pytest.fixture(scope="module")
def pair(own: Stack) -> Iterator[tuple[Tried, Tried]]:
    with ExitStack() as stack:
        second = stack.enter_context(second_gateway(own))
        second = replace(second, log=LogSink(own.folder / "second" / "log"))
        stack.callback(second.log.close)
        eventually(lambda: connected(own) and connected(second) and taught(own) and taught(second))
        first, other = (Tried(one, stack.enter_context(one.gateways())) for one in (own, second))
        for one in (first, other):
            eventually(lambda one=one: one.gateways.servers()[CANARY].up)  # type: ignore[misc]
            one.gateways.drain(CANARY, who="rollout", reason="update", manual=False)
        yield first, other
        first.gateways.undrain(CANARY)


def test_a_conversation_keeps_its_version_at_the_other_gateway(pair: tuple[Tried, Tried]) -> None:
    first, other = pair
    for one in pair:
        one.give(50, rollout="both")
    began = [first.ask(opening(number)).canary for number in range(16)]
    assert set(began) == {True, False}
    eventually(lambda: known(other.stack) >= 16)
    assert [other.ask(going_on(number)).canary for number in range(16)] == began
    # One gateway may get the larger share before the other.
    other.give(100, rollout="both")
    assert [other.ask(going_on(number)).canary for number in range(16)] == began
    for one in pair:
        one.gateways.end_canary("assistant")


def test_what_a_gateway_writes_of_it_is_one_line_a_model(tried: Tried) -> None:
    tried.give(5)
    tried.give(25)
    (line,) = Path(tried.stack.gateway.paths.configuration, "canaries.map").read_text().splitlines()
    model, value = line.split()
    parts, server, _, *rest = value.split("|")
    assert (model, parts, rest) == ("assistant", "250000", [NEW, ROLLOUT])
    assert server.startswith("gpu1.assistant.2.")
