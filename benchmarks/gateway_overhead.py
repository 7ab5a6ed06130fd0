"""The latency that gateway and host proxy add to a request, compared with one bare HAProxy with TLS.

Gateway and host proxy have the configuration that rackwright renders. Both sides forward to the same responder, a
third HAProxy on a unix socket that always sends the same answer. They get requests in turn, over connections that
stay open: 1 kB in, 1 kB out. Target: the median is at most 1 ms higher.

    python -m benchmarks.gateway_overhead [--requests 3000]
"""

from __future__ import annotations

import argparse
import json
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from socket import AF_UNIX, socket

from benchmarks.added_time import in_turn, keep_and_print
from tests.gateway.stack import KEYS, Stack, eventually, free_port, running_stack
from tests.stand_in_engine import StandInEngine

TARGET_MS = 1.0
ANSWER = json.dumps({"choices": [{"text": "x" * 900}], "usage": {"prompt_tokens": 200, "completion_tokens": 200}})
BODY = json.dumps({"messages": [{"role": "user", "content": "x" * 950}], "model": "assistant"})
_DEFAULTS = "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"


@contextmanager
def haproxy(configuration: str) -> Iterator[None]:
    """Run a HAProxy with this configuration."""
    with tempfile.TemporaryDirectory(prefix="rw-") as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text(configuration)
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(path)])
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def responder(path: Path) -> Iterator[StandInEngine]:
    """Answer every request at the socket with the same kilobyte of text."""
    answer = f"http-request return status 200 content-type application/json string '{ANSWER}'"
    with haproxy(f"{_DEFAULTS}frontend constant\n bind unix@{path} mode 666\n {answer}\n"):
        eventually(lambda: _connects(path))
        yield StandInEngine(path)


def _connects(path: Path) -> bool:
    with suppress(OSError), socket(AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def bare(stack: Stack, port: int) -> str:
    engine = stack.proxied.replicas[0].socket
    return (
        f"{_DEFAULTS}frontend bare\n bind 127.0.0.1:{port} ssl crt {stack.gateway.paths.run}/gateway.pem\n"
        f" default_backend engine\nbackend engine\n server engine unix@{engine}\n"
    )


def connection(stack: Stack, port: int) -> HTTPSConnection:
    context = ssl.create_default_context(cadata=stack.ca.pem)
    opened = HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    eventually(lambda: _opens(opened))
    return opened


def _opens(opened: HTTPSConnection) -> bool:
    with suppress(OSError):
        opened.connect()
        return True
    return False


def ask(opened: HTTPSConnection, body: str = BODY) -> float:
    """Return how many milliseconds one request took."""
    began = time.perf_counter()
    opened.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEYS['good']}"})
    response = opened.getresponse()
    answer = response.read()
    took = (time.perf_counter() - began) * 1000
    assert response.status == 200, answer
    return took


def measure(requests: int) -> dict[str, list[float]]:
    """Return the samples of both, in milliseconds."""
    with ExitStack() as opened:
        stack = opened.enter_context(running_stack(responder, sooner=False))
        port = free_port()
        opened.enter_context(haproxy(bare(stack, port)))
        connections = {"bare": connection(stack, port), "gateway": connection(stack, stack.settings.port)}
        return in_turn({name: partial(ask, one) for name, one in connections.items()}, requests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    added = keep_and_print("gateway_overhead", measure(parser.parse_args().requests), TARGET_MS)
    return 0 if added <= TARGET_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
