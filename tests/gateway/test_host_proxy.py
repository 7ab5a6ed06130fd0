"""Which clients reach an engine through its host proxy, and what the probe's answers change."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from rackwright.roles.gateway import configuration as gateway_files
from rackwright.roles.host_proxy import configuration as host_proxy_files
from rackwright.roles.host_proxy.now import works_command
from tests.gateway.stack import AGENT_CHECKS, GATEWAY_CHECKS, Stack, eventually


def ask(stack: Stack, certificate: Path | None, path: str = "/ready") -> int:
    context = ssl.create_default_context(cadata=stack.ca.pem)
    if certificate:
        context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key.cred")
    connection = http.client.HTTPSConnection("127.0.0.1", stack.proxied.replicas[0].port, context=context, timeout=60)
    connection.request("GET", path)
    return connection.getresponse().status


def test_a_gateway_is_let_in(stack: Stack) -> None:
    certificate = stack.folder / "gateway-client"
    assert ask(stack, certificate) == 200
    assert ask(stack, certificate, "/health") == 200


@pytest.mark.parametrize("who", ["nobody", "stranger", "server"])
def test_all_others_are_not_let_in(stack: Stack, who: str) -> None:
    stack.ca.issue("stranger", ("gate9",), client=True)
    stack.ca.issue("server", ("gate1",), client=False)
    certificate = None if who == "nobody" else stack.folder / who
    for path in ("/ready", "/health"):
        with pytest.raises((ssl.SSLError, OSError, http.client.RemoteDisconnected)):
            ask(stack, certificate, path)


def idle(stack: Stack, address: str) -> socket.socket:
    """Return a connection to the host proxy that sends nothing."""
    port = stack.proxied.replicas[0].port
    return socket.create_connection(("127.0.0.1", port), source_address=(address, 0))


def test_connections_that_send_nothing_from_one_address_take_no_engine_out(stack: Stack) -> None:
    most = int(re.search(r"maxconn (\d+)", Path(stack.host_proxy.paths.configuration, "haproxy.cfg").read_text())[1])
    with ExitStack() as opened:
        for _ in range(most + 20):
            opened.enter_context(contextlib.closing(idle(stack, "127.0.0.2")))
        assert ask(stack, stack.folder / "gateway-client") == 200
        assert stack.send().status == 200


def test_a_connection_that_sends_nothing_is_closed(stack: Stack) -> None:
    with contextlib.closing(idle(stack, "127.0.0.2")) as connection:
        connection.settimeout(60)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""


def test_a_host_s_proxies_ask_every_second(stack: Stack) -> None:
    """This way, the probe's state reaches the gateway within seconds. In these tests, proxies check more often."""
    assert AGENT_CHECKS in host_proxy_files.haproxy_cfg(stack.proxied, stack.host_proxy.paths)
    assert GATEWAY_CHECKS in gateway_files.haproxy_cfg(stack.settings, stack.gateway.paths)


@pytest.mark.parametrize("state", ["down", "drain", "maint"])
def test_what_the_probe_says_reaches_the_gateway(stack: Stack, state: str) -> None:
    server = stack.servers["assistant"]
    stack.agents["assistant"].state = state
    eventually(lambda: stack.down(server))
    refused = stack.send()
    assert refused.status == 503
    assert refused.getheader("retry-after") == "5"
    assert json.loads(refused.read())["error"]["code"] == "unavailable"
    assert stack.send("coder").status == 200
    stack.agents["assistant"].state = "up ready"
    eventually(lambda: stack.up(server))
    assert stack.send().status == 200


def test_an_answer_under_way_goes_on_when_the_probe_says_down(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(stream=True)
    assert response.readline() == b"data: 0\n"
    stack.agents["assistant"].state = "down"
    eventually(lambda: stack.down(stack.servers["assistant"]))
    engine.let_go(engine.chunks)
    assert response.read().endswith(b"[DONE]\n\n")


def test_the_host_proxy_goes_at_once_by_what_it_is_told_of_an_engine(stack: Stack) -> None:
    certificate, agent = stack.folder / "gateway-client", stack.agents["assistant"]
    agent.state = "down"
    eventually(lambda: ask(stack, certificate) == 503)
    # The agent gives no state: only the command counts.
    agent.state = ""
    subprocess.run(["sh", "-c", works_command(stack.proxied.replicas[0], stack.host_proxy.paths)], check=True)
    assert ask(stack, certificate) == 200
    agent.state = "down"
    eventually(lambda: ask(stack, certificate) == 503)
