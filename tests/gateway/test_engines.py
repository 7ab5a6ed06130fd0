"""How a gateway treats host proxies: which ones it trusts, when it retries, and what it doesn't pass on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateway.certificates import CertificateAuthority
from tests.gateway.stack import KEYS, Stack, eventually
from tests.gateway.stand_in_proxy import StandInProxy, stand_in_proxy
from tests.gateway.test_downtime import reloaded


@contextmanager
def in_place_of_the_host(stack: Stack, certificate: Path) -> Iterator[StandInProxy]:
    """Within the block, the gateway sends requests for the assistant to a stand-in."""
    name = f"model.assistant/{stack.servers['assistant']}"
    with stand_in_proxy(certificate) as proxy:
        stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {proxy.port}")
        try:
            yield proxy
        finally:
            stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {stack.proxied.replicas[0].port}")


@pytest.fixture
def proxy(stack: Stack) -> Iterator[StandInProxy]:
    with in_place_of_the_host(stack, stack.folder / "host-proxy") as proxy:
        yield proxy


@pytest.mark.parametrize("who", ["another host", "a stranger"])
def test_an_engine_whose_certificate_is_not_that_of_its_host_is_not_asked(
    stack: Stack, tmp_path: Path, who: str
) -> None:
    ca, host = (CertificateAuthority(tmp_path), "gpu1") if who == "a stranger" else (stack.ca, "gpu9")
    ca.issue("other", (host, "127.0.0.1"), client=False, folder=tmp_path)
    with in_place_of_the_host(stack, tmp_path / "other") as other:
        eventually(lambda: stack.down(stack.servers["assistant"]))
        assert stack.send().status == 503
    assert other.asked == 0


@pytest.mark.parametrize("failure", [0, 503])
def test_what_gets_no_answer_or_finds_no_room_is_asked_twice_more(
    stack: Stack, proxy: StandInProxy, failure: int
) -> None:
    proxy.failures = [failure] * 2
    assert (stack.send().status, proxy.asked) == (200, 3)
    proxy.failures = [failure] * 9
    assert (stack.send().status, proxy.asked) == (failure or 502, 6)


def test_what_one_replica_does_not_answer_another_does(stack: Stack) -> None:
    assistant, *others = stack.settings.models
    engine = stack.engines["assistant"]
    with stand_in_proxy(stack.folder / "host-proxy") as proxy:
        dead = assistant.servers[0].model_copy(update={"replica": "assistant@2", "port": proxy.port})
        two = assistant.model_copy(update={"servers": (*assistant.servers, dead)})
        with reloaded(stack, models=(two, *others)):
            eventually(lambda: all(stack.gateway.statuses(one.name)[0] == "UP" for one in two.servers))
            proxy.failures = [0] * 99
            engine.hold = True
            first = stack.send(stream=True)
            # The idle replica is asked before the one with a stream.
            proxy.asked = 0
            second = stack.send(stream=True)
            assert (second.status, proxy.asked) == (200, 1)
            engine.hold = False
            engine.let_go(100)
            assert [response.read()[-8:] for response in (first, second)] == [b"[DONE]\n\n"] * 2


def test_an_answer_that_says_what_is_wrong_is_the_clients(stack: Stack, proxy: StandInProxy) -> None:
    proxy.failures = [500]
    assert (stack.send().status, proxy.asked) == (500, 1)


def test_an_engine_sees_nothing_of_who_asks_but_the_request(stack: Stack) -> None:
    private = {"cookie": "session=1", "proxy-authorization": "Basic eDp5", "accept-encoding": "gzip"}
    private |= {"authorization": f"Bearer {KEYS['good']}", "api-key": "a", "x-api-key": "b"}
    assert stack.send(key=None, headers=private).status == 200
    (received,) = stack.engines["assistant"].requests
    assert not private.keys() & received.headers.keys()
