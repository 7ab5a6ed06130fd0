"""The latency that a gateway adds to a request to a cloud, compared with asking the cloud directly.

The gateway has the configuration that rackwright renders. The cloud is a HAProxy on loopback with TLS that always
sends the same answer. Both sides get requests in turn, over connections that stay open: 1 kB in, 1 kB out. Target:
the median is at most 2 ms higher.

    python -m benchmarks.cloud_overhead [--requests 3000]
"""

from __future__ import annotations

import argparse
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection

from benchmarks.added_time import in_turn, keep_and_print
from benchmarks.gateway_overhead import ANSWER, ask, connection, haproxy
from rackwright.roles.gateway.settings import Cloud, RoutedModel
from tests.gateway.stack import Stack, eventually, free_port, running_stack

TARGET_MS = 2.0
BODY = json.dumps({"messages": [{"role": "user", "content": "x" * 950}], "model": "gpt"})
_DEFAULTS = "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"


@contextmanager
def responder(stack: Stack) -> Iterator[Cloud]:
    """Answer every request over TLS with the same kilobyte of text."""
    stack.ca.issue("cloud", ("cloud.test",), client=False)
    pem = stack.folder / "cloud.pem"
    pem.write_bytes((stack.folder / "cloud.crt").read_bytes() + (stack.folder / "cloud.key.cred").read_bytes())
    cloud = Cloud(name="acme", host="cloud.test", port=free_port(), path="/v1", own_ca=True)
    answer = f"http-request return status 200 content-type application/json string '{ANSWER}'"
    bind = f"bind 127.0.0.1:{cloud.port} ssl crt {pem}"
    with haproxy(f"{_DEFAULTS}frontend constant\n {bind}\n {answer}\n"):
        yield cloud


def through(stack: Stack, cloud: Cloud) -> None:
    """Let the gateway pass requests to this cloud."""
    Path(stack.folder, "acme.ca.crt").write_text(stack.ca.pem)
    Path(stack.folder, "acme.key.cred").write_text("sk-benchmark")
    model = RoutedModel(name="chat", digest=None, names=("gpt",), servers=(), cloud="acme")
    stack.gateway.proxy = replace(stack.gateway.proxy, clouds=("acme",))
    Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
    stack.write(stack.settings.model_copy(update={"models": (*stack.settings.models, model), "clouds": (cloud,)}))
    stack.gateway.reload()
    server = f"{cloud.backend}/{cloud.servers[0]}"
    stack.gateway.ask(f"set server {server} addr 127.0.0.1")
    stack.gateway.ask(f"set server {server} state ready")
    eventually(lambda: "UP" in stack.gateway.statuses(cloud.servers[0]))


def direct(stack: Stack, cloud: Cloud) -> HTTPSConnection:
    """Connect to the cloud, verified by its name as the gateway does."""
    context = ssl.create_default_context(cadata=stack.ca.pem)

    plain = create_connection(("127.0.0.1", cloud.port), 20)
    # As http.client sets it.
    plain.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    opened = HTTPSConnection(cloud.host, cloud.port, timeout=20)
    opened.sock = context.wrap_socket(plain, server_hostname=cloud.host)
    return opened


def measure(requests: int) -> dict[str, list[float]]:
    """Return the samples of both, in milliseconds."""
    with ExitStack() as made:
        stack = made.enter_context(running_stack(sooner=False))
        cloud = made.enter_context(responder(stack))
        through(stack, cloud)
        connections = {"directly": direct(stack, cloud), "gateway": connection(stack, stack.settings.port)}
        return in_turn({name: partial(ask, opened, BODY) for name, opened in connections.items()}, requests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    added = keep_and_print("cloud_overhead", measure(parser.parse_args().requests), TARGET_MS)
    return 0 if added <= TARGET_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
