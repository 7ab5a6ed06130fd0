"""Token quotas at a running gateway, alone and with another one: real HAProxy, and the real usage program."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from itertools import count
from pathlib import Path

import pytest

from rackwright.roles.gateway.settings import BASIC_PATHS, Key
from rackwright.roles.usage.program.periods import DAY_MS, daily
from rackwright.roles.usage.program.quotas import Quota
from rackwright.roles.usage.program.state import Sum
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import KEYS, Stack, digest, eventually, running_stack, second_gateway
from tests.gateway.test_large import changed, with_image
from tests.gateway.test_peers import connected, taught
from tests.gateway.used import Used

TEAM = "research"
ANSWER = json.dumps({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 40}}).encode()
VERSION = count(1)


@dataclass
class Limited:
    """Gateways of one key, each with its usage program."""

    gateways: tuple[Used, ...]

    def push(self, **terms: object) -> None:
        """Let the key be one of the team, with these terms."""
        said = {"id": "limited", "sha256": digest(KEYS["limited"]), "owner": TEAM, "version": next(VERSION), **terms}
        for used in self.gateways:
            with used.stack.gateways() as gateways:
                gateways.put_key(Key.model_validate(said), note="{}")

    def give(self, per_day: int = 0, per_month: int = 0) -> None:
        """Give the team this quota, and let each gateway know."""
        for used in self.gateways:
            used.teams = (Quota("owner", TEAM, per_day, per_month),)
        self.look()

    def look(self) -> None:
        """Let the programs look until each has seen what the others say."""
        for _ in range(2):
            for used in self.gateways:
                used.look()

    def ask(self, at: int = 0, **sent: object) -> HTTPResponse:
        """Let a request be answered with 100 tokens, unless it is refused."""
        response = self.gateways[at].stack.send(key="limited", **sent)  # type: ignore[arg-type]
        response.body = response.read()  # type: ignore[attr-defined]
        return response

    def total(self, at: int = 0) -> int:
        used = self.gateways[at]
        return used.look().total(Sum("owner", TEAM, daily(int(time.time() * 1000) // DAY_MS)))


def refused(response: HTTPResponse) -> bool:
    """Whether it is refused because of a quota; anything but an answer is a failure."""
    if response.status == 200:
        return False
    error = json.loads(response.body)["error"]  # type: ignore[attr-defined]
    assert (response.status, error["code"], error["type"]) == (429, "insufficient_quota", "insufficient_quota")
    assert response.headers["x-should-retry"] == "false"
    assert 0 < int(response.headers["retry-after"]) <= 31 * 86400
    return True


@pytest.fixture
def alone(stack: Stack, tmp_path: Path) -> Iterator[Limited]:
    """A gateway whose team has used nothing today."""
    stack.engines["assistant"].answer = ANSWER
    limited = Limited((Used(stack, tmp_path / "gate1", stack.log),))
    limited.push()
    yield limited
    stack.gateway.ask("clear table gateways/used.gate1")
    Path(stack.gateway.paths.configuration, "quotas.map").unlink(missing_ok=True)
    stack.gateway.forget_keys()
    stack.gateway.reload()


def test_a_team_is_warned_and_then_refused_until_the_day_ends(alone: Limited) -> None:
    alone.give(per_day=500)
    answers = []
    for _ in range(6):
        answers.append(alone.ask())
        alone.look()
    # Which part was used when a request came: 0, 20, 40 and 60 percent aren't said.
    assert [one.headers["x-quota-used-percent"] for one in answers] == [None, None, None, None, "80", "100"]
    assert [refused(one) for one in answers] == [False] * 5 + [True]
    left = 86400 - time.time() % 86400
    assert abs(int(answers[-1].headers["retry-after"]) - left) < 60
    line = alone.gateways[0].sink.line(answers[-1].headers["x-request-id"])
    assert (line.end, line.owner, line.replica, line.model) == ("refused", TEAM, None, None)


def test_a_month_ends_later_than_a_day_and_counts_then(alone: Limited) -> None:
    alone.give(per_day=100, per_month=100)
    alone.ask()
    alone.look()
    response = alone.ask()
    assert refused(response)
    # On the last day of a month, both end at the same time.
    until = time.gmtime(time.time() + int(response.headers["retry-after"]) + 30)
    assert (until.tm_mday, until.tm_hour, until.tm_min) == (1, 0, 0)


def test_other_keys_other_teams_and_lists_of_models_go_on(alone: Limited) -> None:
    alone.give(per_day=100)
    alone.ask()
    alone.look()
    stack = alone.gateways[0].stack
    assert refused(alone.ask())
    assert stack.send().status == 200
    assert stack.send(key="limited", path="/v1/models", method="GET").status == 200
    alone.push(owner="research-2")
    assert not refused(alone.ask())


def test_a_key_has_a_quota_of_its_own(alone: Limited) -> None:
    alone.push(tokens_per_day=100)
    alone.look()
    assert not refused(alone.ask())
    alone.look()
    assert refused(alone.ask())
    alone.push(tokens_per_day=200)
    alone.look()
    assert not refused(alone.ask())


def test_a_quota_below_what_is_used_refuses_at_once_and_one_above_lets_in(alone: Limited) -> None:
    alone.ask()
    alone.ask()
    alone.give(per_day=150)
    assert refused(alone.ask())
    alone.give(per_day=1000)
    assert not refused(alone.ask())


def test_an_anthropic_client_gets_its_own_form(alone: Limited) -> None:
    alone.give(per_day=100)
    alone.ask()
    alone.look()
    stack = alone.gateways[0].stack
    assistant, coder = stack.settings.models
    with changed(stack, models=(assistant.model_copy(update={"apis": (*BASIC_PATHS, "/v1/messages")}), coder)):
        response = alone.ask(path="/v1/messages")
    said = json.loads(response.body)  # type: ignore[attr-defined]
    assert (response.status, said["type"], said["error"]["type"]) == (429, "error", "rate_limit_error")


def test_a_running_answer_finishes_and_a_large_request_is_refused_before_it_arrives(alone: Limited) -> None:
    alone.give(per_day=100)
    stack = alone.gateways[0].stack
    stack.engines["assistant"].hold = True
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(alone.ask)
        eventually(lambda: stack.engines["assistant"].requests)
        stack.engines["assistant"].hold = False
        alone.ask()
        alone.look()
        assert refused(alone.ask())
        stack.engines["assistant"].let_go()
        assert not refused(running.result(60))
    connection = stack.connect()
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("authorization", f"Bearer {KEYS['limited']}")
    connection.putheader("content-length", str(len(with_image())))
    connection.endheaders()
    assert connection.getresponse().status == 429
    connection.close()


def test_what_is_used_survives_a_reload_and_a_restart_of_the_proxy(alone: Limited) -> None:
    alone.give(per_day=100)
    alone.ask()
    alone.look()
    stack = alone.gateways[0].stack
    stack.gateway.reload()
    assert refused(alone.ask())
    stack.gateway.wait_for_replaced()
    stack.gateway.stop()
    stack.gateway.start()
    eventually(lambda: all(stack.up(server) for server in stack.servers.values()))
    alone.push()
    assert refused(alone.ask())
    assert alone.total() == 100
    # Its own table is full again, for the other gateways.
    assert f"key=o|{TEAM}|d" in stack.gateway.ask("show table gateways/used.gate1")


def test_what_the_program_said_last_ends_by_itself(alone: Limited) -> None:
    stack = alone.gateways[0].stack
    folder = Path(stack.gateway.paths.configuration)
    (folder / "quotas.map").write_text(f"owner/{TEAM} 100|{int(time.time()) - 1}\n")
    stack.gateway.reload()
    response = alone.ask()
    assert not refused(response)
    assert response.headers["x-quota-used-percent"] is None


def test_counts_beyond_32_bits_are_kept(alone: Limited) -> None:
    stack = alone.gateways[0].stack
    stack.engines["assistant"].answer = ANSWER.replace(b"60", b"4294967290")
    for _ in range(3):
        alone.ask()
    alone.give(per_day=10**12)
    assert alone.total() == 3 * 4294967330
    rows = stack.gateway.ask("show table gateways/used.gate1")
    assert f"gpc0={3 * 4294967330 % 10**9} gpc1={3 * 4294967330 // 10**9}" in rows


def test_an_owner_may_have_any_name(alone: Limited) -> None:
    owner = 'Zoë | "Müller" % \\ \u2028'
    alone.push(owner=owner)
    assert alone.gateways[0].sink.line(alone.ask().headers["x-request-id"]).owner == owner


def test_a_lent_key_has_no_owner_and_no_quota(alone: Limited) -> None:
    with alone.gateways[0].stack.gateways() as gateways, gateways.temporary_key(digest(KEYS["wrong"]), side=""):
        response = alone.gateways[0].stack.send(key="wrong")
        assert response.status == 200
    assert alone.gateways[0].sink.line(response.headers["x-request-id"]).owner is None


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack, LogSink]]:
    with ExitStack() as held:
        first = held.enter_context(running_stack())
        second = held.enter_context(second_gateway(first))
        eventually(lambda: connected(first) and connected(second) and taught(first) and taught(second))
        yield first, second, first.log


def test_a_sum_is_of_all_gateways_also_of_one_that_is_lost(two: tuple[Stack, Stack, LogSink], tmp_path: Path) -> None:
    first, second, _ = two
    first.reset()
    first.engines["assistant"].answer = ANSWER
    sink = LogSink(Path(second.gateway.paths.log))
    pair = Limited(
        (
            Used(first, tmp_path / "gate1", first.log, others=("gate2",)),
            Used(second, tmp_path / "gate2", sink, others=("gate1",)),
        )
    )
    pair.push()
    pair.give(per_day=400)
    for at in (0, 1, 0, 1):
        assert not refused(pair.ask(at))
    begun = time.monotonic()
    eventually(lambda: (pair.total(0), pair.total(1)) == (400, 400))
    assert refused(pair.ask(0))
    assert refused(pair.ask(1))
    assert time.monotonic() - begun < 60
    # The second gateway is lost with its state, and the first one is restarted: nothing is forgotten.
    second.gateway.stop()
    first.gateway.stop()
    first.gateway.start()
    eventually(lambda: first.up(first.servers["assistant"]))
    assert pair.total(0) == 400
    assert refused(pair.ask(0))
    # A new gateway in its place learns from the first one what its predecessor used.
    second.gateway.start()
    pair.gateways[1].places.state.unlink()
    eventually(lambda: pair.gateways[1].look().copies.get("gate1"))
    eventually(lambda: pair.total(0) == 400)
