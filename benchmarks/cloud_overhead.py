"""The latency that a gateway adds to a request to a cloud, compared with asking the cloud directly.

The gateway has the configuration that rackwright renders. The cloud is a HAProxy on loopback with TLS that always
sends the same answer. Both sides get requests in turn, over connections that stay open: 1 kB in, 1 kB out. Target:
the median is at most 2 ms higher.

    python -m benchmarks.cloud_overhead [--requests 3000]
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection

from benchmarks.gateway_overhead import ANSWER, ask, connection, haproxy
from rackwright.roles.gateway.settings import Cloud, RoutedModel
from tests.gateway.stack import Stack, eventually, free_port, running_stack

RAW = Path(__file__).parent / "raw" / "cloud_overhead.json"
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
    samples: dict[str, list[float]] = {"directly": [], "gateway": []}
    with ExitStack() as made:
        stack = made.enter_context(running_stack(sooner=False))
        cloud = made.enter_context(responder(stack))
        through(stack, cloud)
        connections = {"directly": direct(stack, cloud), "gateway": connection(stack, stack.settings.port)}
        for number in range(requests + 100):
            for name in ("directly", "gateway") if number % 2 else ("gateway", "directly"):
                took = ask(connections[name], BODY)
                # The first hundred are a warm-up.
                if number >= 100:
                    samples[name].append(took)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    samples = measure(parser.parse_args().requests)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    p99 = {name: statistics.quantiles(values, n=100)[98] for name, values in samples.items()}
    added = medians["gateway"] - medians["directly"]
    RAW.parent.mkdir(exist_ok=True)
    rounded = {name: [round(value, 4) for value in values] for name, values in samples.items()}
    RAW.write_text(json.dumps({"unit": "ms", "cores": os.cpu_count(), "samples": rounded}) + "\n")
    for name in samples:
        print(f"{name:8} median {medians[name]:.3f} ms   p99 {p99[name]:.3f} ms   {len(samples[name])} requests")
    print(f"added    median {added:.3f} ms   p99 {p99['gateway'] - p99['directly']:.3f} ms   target ≤ {TARGET_MS} ms")
    return 0 if added <= TARGET_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
