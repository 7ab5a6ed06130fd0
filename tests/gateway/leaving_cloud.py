"""A gateway whose model `assistant` is answered by a cloud, and has a replica, too: as before a cutover."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rackwright.errors import HostError
from rackwright.gateway.cutover_runtime import Cutovers, Wanted
from rackwright.gateway.cutover_states import CutoverRecord, GatewayCutover
from rackwright.roles.gateway.access_log import Access
from rackwright.roles.gateway.settings import Cloud
from tests.gateway.fixed_cloud import fixed_cloud
from tests.gateway.stack import Stack, eventually, running_stack
from tests.stand_in_cloud import StandInCloud

SECRET = "sk-cloud-" + "c" * 40
Turns = list[tuple[str, str]]


@dataclass(frozen=True)
class Leaving:
    stack: Stack
    cloud: StandInCloud

    @contextmanager
    def cutover(self, migration: str = "support") -> Iterator[Cutovers]:
        folder = Path(self.stack.gateway.paths.configuration)
        with self.stack.gateways() as gateways:
            yield Cutovers(gateways, migration, records=f"{folder}/records", panic=f"{folder}/panic")

    def give(self, percent: float, change: str, after: str = "", *, window: int = 3600, fallback: int = 0) -> None:
        """Give the fleet this share, with so many fallbacks in an hour; fail if the gateway refuses."""
        wanted = Wanted(percent, {"assistant": "assistant"}, change, window, {"assistant": fallback})
        record = CutoverRecord(migration="support", share=percent, who="carla")
        with self.cutover() as cutover:
            (given,) = cutover.give(wanted, record, dict.fromkeys(cutover.gateways.hosts, after)).values()
        if isinstance(given, HostError):
            raise given

    def roll_back(self, who: str = "carla") -> None:
        with self.cutover() as cutover:
            (done,) = cutover.roll_back(CutoverRecord(migration="support", share=0, back=True, who=who)).values()
        assert done is None

    def look(self) -> GatewayCutover:
        with self.cutover() as cutover:
            (found,) = cutover.look().values()
        assert isinstance(found, GatewayCutover)
        return found

    def ask(self, turns: Turns, *, conversation: str = "", **body: object) -> Access:
        messages = [{"role": role, "content": content} for role, content in turns]
        headers = {"x-conversation-id": conversation} if conversation else {}
        return self.send({"messages": messages, **body}, headers=headers)

    def send(self, body: dict[str, object], *, path: str = "/v1/chat/completions", **sent: object) -> Access:
        content = json.dumps({"model": "assistant", **body}).encode()
        response = self.stack.send(body=content, path=path, **sent)  # type: ignore[arg-type]
        response.read()
        return self.stack.log.line(response.getheader("x-request-id") or "-")

    def sides(self, conversations: list[Turns]) -> list[str | None]:
        return [self.ask(turns).side for turns in conversations]


def in_one_hour(work: Callable[[], None], *stacks: Stack) -> None:
    """Do it with no counts of fallbacks; again if the clock's hour ended meanwhile, because counts start with 0."""
    while True:
        hour = time.time() // 3600
        for stack in stacks:
            for gateway in ("gate1", "gate2"):
                stack.gateway.ask(f"clear table gateways/fallbacks.{gateway}")
        try:
            work()
            return
        except AssertionError:
            if time.time() // 3600 == hour:
                raise


@contextmanager
def leaving_cloud() -> Iterator[Leaving]:
    with ExitStack() as made:
        stack = made.enter_context(running_stack())
        cloud = made.enter_context(fixed_cloud(stack.ca, "cloud.test"))
        acme = Cloud(name="acme", host="cloud.test", port=cloud.port, path="/v1", own_ca=True)
        Path(stack.folder, "acme.ca.crt").write_text(stack.ca.pem)
        Path(stack.folder, "acme.key.cred").write_text(SECRET)
        assistant, coder = stack.settings.models
        models = (assistant.model_copy(update={"cloud": "acme"}), coder)
        stack.gateway.proxy = replace(stack.gateway.proxy, clouds=("acme",))
        Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
        stack.write(stack.settings.model_copy(update={"models": models, "clouds": (acme,)}))
        stack.gateway.reload()
        reach(stack)
        yield Leaving(stack, cloud)


def reach(stack: Stack) -> None:
    """Do what the cloud role's script does, and wait until the cloud is up."""
    (acme,) = stack.settings.clouds
    server = f"{acme.backend}/{acme.servers[0]}"
    stack.gateway.ask(f"set server {server} addr 127.0.0.1")
    stack.gateway.ask(f"set server {server} state ready")
    eventually(lambda: stack.gateway.statuses(acme.servers[0]) == ["UP"])


def opening(number: int) -> Turns:
    return [("user", f"question {number}")]


def going_on(number: int) -> Turns:
    return [*opening(number), ("assistant", "an answer"), ("user", "and then?")]
