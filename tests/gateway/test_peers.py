"""Two gateways that share the use of each key, over TLS with the fleet's certificates."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import Stack, eventually, running_stack, second_gateway
from tests.gateway.test_limits import in_one_minute, limited


@dataclass(frozen=True)
class Pair:
    first: Stack
    second: Stack
    keys: tuple[Gateways, Gateways]

    def put(self, key: Key) -> None:
        for gateways in self.keys:
            gateways.put_key(key, note="{}")

    def seen_by(self, stack: Stack, name: str, key: Key, number: int) -> bool:
        """Return whether this gateway knows that the other has admitted `number` requests of the key."""
        rows = stack.gateway.ask(f"show table gateways/requests.{name}").splitlines()
        return any(f"key={key.id}/" in row and row.rstrip().endswith(f"={number}") for row in rows)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        first = stack.enter_context(running_stack())
        second = stack.enter_context(second_gateway(first))
        keys = stack.enter_context(first.gateways()), stack.enter_context(second.gateways())
        eventually(lambda: connected(first) and connected(second))
        yield Pair(first, second, keys)


def connected(stack: Stack) -> bool:
    rows = stack.gateway.ask("show peers").splitlines()
    return any("(remote" in row and "last_status=ESTA" in row for row in rows)


def taught(stack: Stack) -> bool:
    """Return whether it knows what its predecessor and its peers know (HAProxy 3.0's flags RESYNC_LOCAL and _REMOTE).

    Until then, some five seconds after its peers changed, a worker has nothing to pass on to its successor.
    """
    found = re.search(r"id=gateways .* flags=0x([0-9a-f]+)", stack.gateway.ask("show peers"))
    return found is not None and int(found[1], 16) & 3 == 3


def test_requests_of_all_gateways_count_together(pair: Pair) -> None:
    def work() -> None:
        key = limited(requests_per_minute=4)
        pair.put(key)
        assert [pair.first.send(key="limited").status for _ in range(2)] == [200, 200]
        eventually(lambda: pair.seen_by(pair.second, "gate1", key, 2))
        assert [pair.second.send(key="limited").status for _ in range(3)] == [200, 200, 429]
        eventually(lambda: pair.seen_by(pair.first, "gate2", key, 2))
        assert pair.first.send(key="limited").status == 429

    in_one_minute(work)


def test_a_restarted_gateway_learns_from_the_other_what_was_used(pair: Pair) -> None:
    def work() -> None:
        key = limited(requests_per_minute=2)
        pair.put(key)
        assert [pair.second.send(key="limited").status for _ in range(2)] == [200, 200]
        eventually(lambda: pair.seen_by(pair.first, "gate2", key, 2))
        pair.second.gateway.stop()
        pair.second.gateway.start()
        eventually(lambda: pair.seen_by(pair.second, "gate2", key, 2))
        assert pair.second.send(key="limited").status == 429

    in_one_minute(work)


def test_requests_at_a_time_count_at_each_gateway_by_itself(pair: Pair) -> None:
    pair.put(limited(concurrency=1))
    engine = pair.first.engines["assistant"]
    engine.hold = True
    response = pair.first.send(key="limited", stream=True)
    response.readline()
    assert pair.first.send("coder", key="limited").status == 429
    assert pair.second.send("coder", key="limited").status == 200
    engine.hold = False
    engine.let_go(100)
    assert response.read().endswith(b"[DONE]\n\n")


def test_while_the_other_is_gone_each_counts_alone(pair: Pair) -> None:
    def work() -> None:
        key = limited(requests_per_minute=1)
        pair.put(key)
        pair.second.gateway.stop()
        try:
            assert [pair.first.send(key="limited").status for _ in range(2)] == [200, 429]
        finally:
            pair.second.gateway.start()
            eventually(lambda: connected(pair.first) and connected(pair.second))

    in_one_minute(work)


def test_a_gateway_is_known_by_its_certificate(pair: Pair) -> None:
    context = ssl.create_default_context(cadata=pair.first.ca.pem)
    context.check_hostname = False
    folder = pair.second.folder / "second"
    context.load_cert_chain(folder / "gateway-client.crt", folder / "gateway-client.key.cred")
    greet(pair.first.settings.peers_port, context)
    eventually(lambda: connected(pair.first) and connected(pair.second))


@pytest.mark.parametrize("certificate", [None, "host-proxy"])
def test_a_client_without_a_gateways_certificate_learns_nothing(pair: Pair, certificate: str | None) -> None:
    context = ssl.create_default_context(cadata=pair.first.ca.pem)
    context.check_hostname = False
    if certificate:
        files = [pair.first.folder / f"{certificate}{suffix}" for suffix in (".crt", ".key.cred")]
        context.load_cert_chain(*files)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greet(pair.first.settings.peers_port, context)


def greet(port: int, context: ssl.SSLContext) -> None:
    """Send a peer's greeting. Raise if nothing comes back."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        context.wrap_socket(connection) as wrapped,
    ):
        wrapped.sendall(b"HAProxyS 2.1\ngate1\ngate2 1 1\n")
        if not wrapped.recv(100):
            raise ConnectionResetError


def test_a_gateways_own_next_worker_goes_on_counting_over_tls(pair: Pair) -> None:
    def work() -> None:
        key = limited(requests_per_minute=1)
        pair.put(key)
        assert pair.first.send(key="limited").status == 200
        eventually(lambda: taught(pair.first))
        pair.first.gateway.reload()
        eventually(lambda: pair.seen_by(pair.first, "gate1", key, 1))
        assert pair.first.send(key="limited").status == 429

    in_one_minute(work)
