"""A replay through a real gateway: one key for each side, which the gateway forgets in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rackwright.gateway import Gateways
from rackwright.lifecycle.migrate.replay.lane import Lane, Pace
from rackwright.lifecycle.migrate.replay.lent_key import LentKey
from rackwright.lifecycle.migrate.replay.prepare import prepare
from rackwright.lifecycle.migrate.replay.replay import Replay
from rackwright.lifecycle.migrate.replay.sender import Door, gateway_sender
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.asking.way import way_of
from rackwright.migrate.side import Side
from rackwright.roles.gateway.settings import Cloud, RoutedModel
from tests.gateway.stack import Stack, eventually, running_stack
from tests.lifecycle.migrate.ends import folder_at, plan_of, request
from tests.stand_in_cloud import KEY, Fault, StandInCloud, stand_in_cloud
from tests.waiting import wait_until


@dataclass
class Through:
    stack: Stack
    cloud: StandInCloud
    gateways: Gateways

    @contextmanager
    def lane(self, side: Side) -> Iterator[Lane]:
        door = Door("127.0.0.1", self.stack.settings.domain, self.stack.ca.pem, self.stack.settings.port)

        def lend(sha256: str, seconds: int) -> object:
            return self.gateways.temporary_key(sha256, id=f"replay-{side}", seconds=seconds, side=side)

        with ExitStack() as stack:
            keys = LentKey(f"replay-{side}", lend, stack)  # type: ignore[arg-type]
            sender = stack.enter_context(gateway_sender(door, connections=4, seconds=30))
            yield Lane(side, sender, keys, Pace())

    def known_keys(self) -> list[str]:
        shown = self.stack.gateway.ask(f"show map {self.stack.gateway.paths.configuration}/keys.map")
        return [line for line in shown.splitlines() if "replay-" in line]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Through]:
    folder = tmp_path_factory.mktemp("cloud")
    with ExitStack() as made:
        stack = made.enter_context(running_stack())
        stack.ca.issue("acme", ("cloud.test",), client=False, folder=folder)
        cloud = made.enter_context(stand_in_cloud(folder / "acme.crt", folder / "acme.key.cred"))
        acme = Cloud(name="acme", host="cloud.test", port=urlsplit(cloud.url).port or 0, path="/v1", own_ca=True)
        Path(stack.folder, "acme.ca.crt").write_text(stack.ca.pem)
        Path(stack.folder, "acme.key.cred").write_text(KEY)
        chat = RoutedModel(name="chat", digest=None, names=("gpt-4o-mini",), servers=(), cloud="acme")
        stack.gateway.proxy = replace(stack.gateway.proxy, clouds=("acme",))
        Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
        models = (*stack.settings.models, chat)
        stack.write(stack.settings.model_copy(update={"models": models, "clouds": (acme,)}))
        stack.gateway.reload()
        reach(stack, acme)
        yield Through(stack, cloud, made.enter_context(stack.gateways()))


def reach(stack: Stack, cloud: Cloud) -> None:
    """Do what the cloud role's script does, and wait until the gateway has checked the cloud."""
    server = f"{cloud.backend}/{cloud.servers[0]}"
    stack.gateway.ask(f"set server {server} addr 127.0.0.1")
    stack.gateway.ask(f"set server {server} state ready")

    def up() -> bool:
        rows = [row.split(",") for row in stack.gateway.ask("show stat").splitlines()]
        return any(row[:2] == [cloud.backend, cloud.servers[0]] and row[17] == "UP" for row in rows)

    wait_until(up)


@pytest.fixture
def through(running: Through) -> Through:
    running.cloud.faults.clear()
    running.cloud.received.clear()
    running.stack.engines["assistant"].requests.clear()
    return running


def replayed(through: Through, folder: Path, count: int) -> tuple[Outcome, list[Outcome]]:
    plan, records, notes = plan_of(), folder_at(folder), list[Outcome]()
    records.write("requests", [request(number).model_dump_json() for number in range(count)])
    with through.lane("cloud") as cloud, through.lane("fleet") as fleet:
        names, way = {"gpt-4o-mini": "assistant", "gpt-4o": "coder"}, way_of(plan, None)
        lanes: dict[Side, Lane] = {"cloud": cloud, "fleet": fleet}
        run = Replay(plan, records, names, lanes, lambda _, one: notes.append(one), lambda _: None)
        return run.run(prepare(plan, records, None, way)), notes


def test_each_side_answers_its_own(through: Through, tmp_path: Path) -> None:
    outcome, _ = replayed(through, tmp_path / "records", 6)
    assert outcome.done
    assert not outcome.stopped
    assert [outcome.asks[asked].answered for asked in ("cloud", "again", "fleet")] == [6, 6, 6]
    received = through.cloud.completions()
    assert len(received) == 12
    assert {one.headers["authorization"] for one in received} == {f"Bearer {KEY}"}
    engine = through.stack.engines["assistant"].requests
    assert len(engine) == 6
    assert {json.loads(one.body)["model"] for one in engine} == {"assistant"}
    assert not any("rw-replay" in json.dumps(one.headers) for one in engine)
    # Nothing of the keys is left, and no log has them.
    assert through.known_keys() == []
    assert "rw-replay" not in json.dumps([vars(one) for one in received])
    eventually(lambda: sum('"side":"fleet"' in line for line in through.stack.log.lines) >= 6)
    assert not [line for line in through.stack.log.lines if "rw-replay" in line or KEY in line]


def test_keys_that_a_reload_forgets_are_replaced(through: Through, tmp_path: Path) -> None:
    reloaded: list[bool] = []

    def answer(asked: object) -> str:
        if not reloaded:
            reloaded.append(True)
            through.stack.gateway.reload()
            reach(through.stack, through.stack.settings.clouds[0])
        return "x"

    through.cloud.answer = answer
    try:
        outcome, _ = replayed(through, tmp_path / "records", 8)
    finally:
        through.cloud.answer = None
    assert reloaded
    assert outcome.done
    assert outcome.asks["fleet"].answered == outcome.asks["cloud"].answered
    assert outcome.asks["cloud"].all == 8
    through.stack.gateway.wait_for_replaced()
    assert through.known_keys() == []


def test_a_clouds_429_reaches_the_replay_with_its_retry_after(through: Through, tmp_path: Path) -> None:
    # Longer than a replay waits: so it shows without waiting whether the header arrived.
    through.cloud.faults.append(Fault("status", status=429, retry_after="7200"))
    outcome, _ = replayed(through, tmp_path / "records", 20)
    assert through.cloud.completions()[0].status == 429
    assert outcome.stopped == Stopped(kind="long wait", side="cloud", detail="7200 s")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=401, times=-1), "cloud's key refused"),
        (Fault("redirect", times=-1, location="https://127.0.0.1:1/"), "redirect"),
    ],
)
def test_what_has_no_use_stops_it(through: Through, tmp_path: Path, fault: Fault, kind: str) -> None:
    through.cloud.faults.append(fault)
    outcome, notes = replayed(through, tmp_path / "records", 3)
    assert outcome.stopped
    assert (outcome.stopped.kind, outcome.stopped.side) == (kind, "cloud")
    assert outcome.asks["cloud"].all == 0
    assert KEY not in notes[-1].model_dump_json()
    assert not through.stack.engines["assistant"].requests
