"""Clients keep their connections and send requests during reloads of the gateway and drains of replicas."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle

from rackwright.roles.gateway.access_log import parse_access
from tests.gateway.stack import KEYS, Stack, eventually, running_stack
from tests.gateway.test_canary import with_two_replicas
from tests.lab.access import Drained, reached

REPLICAS = ("gpu1/assistant@1", "gpu1/assistant@2")
CLIENTS, KEPT = 3, 40


class Clients:
    """Clients and the results of their requests."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.statuses: list[int] = []
        self.over = threading.Event()

    def ask(self) -> None:
        """Send requests over many connections in turn, until `over` is set: a reload finds most of them idle."""
        body = json.dumps({"model": "assistant", "messages": []})
        with ExitStack() as stack:
            for connection in cycle([stack.enter_context(closing(self.stack.connect())) for _ in range(KEPT)]):
                if self.over.wait(0.02):
                    break
                connection.request("POST", "/v1/completions", body, {"authorization": f"Bearer {KEYS['good']}"})
                response = connection.getresponse()
                response.read()
                self.statuses.append(response.status)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def go_on(self) -> None:
        """Wait until each client has sent a request over each of its connections."""
        before = len(self.statuses)
        eventually(lambda: len(self.statuses) > before + CLIENTS * (KEPT + 1))


def test_none_fails_and_none_reaches_a_drained_replica() -> None:
    with running_stack() as stack, stack.gateways() as gateways:
        models = (with_two_replicas(stack), stack.settings.models[1])
        stack.write(stack.settings.model_copy(update={"models": models}))
        stack.gateway.reload()
        eventually(lambda: all(state.up for state in gateways.servers().values()))
        clients, drained = Clients(stack), []
        with clients.asking():
            for replica in REPLICAS:
                clients.go_on()
                meanwhile = threading.Thread(target=stack.gateway.reload)
                meanwhile.start()
                gateways.drain(replica, who="ada", reason="fan")
                since = time.time()
                meanwhile.join()
                clients.go_on()
                stack.gateway.reload()
                clients.go_on()
                drained.append(Drained(replica, since, time.time()))
                gateways.undrain(replica)
        asked = len(clients.statuses)
        log = eventually(lambda: told if len(told := lines(stack)) >= asked else [])
        assert set(clients.statuses) == {200}
        assert len(log) == asked
        assert reached([parse_access(line) for line in log], drained) == []


def lines(stack: Stack) -> list[str]:
    """Return the lines of requests: a worker that ends logs its end under the same name."""
    return [line for line in stack.log.lines if '"/v1/completions"' in line]
