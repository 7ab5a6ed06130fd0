"""Usage of a real gateway: what it counts is what the clients counted, across reloads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rackwright.roles.usage.program.day import Row
from tests.gateway.stack import Stack, eventually
from tests.gateway.used import Used

CHUNK = b'data: {"choices":[{"delta":{"content":"Red"}}]}\n\n'
TAKEN = (
    b'data: {"choices":[],"usage":{"prompt_tokens":70,"completion_tokens":3,'
    b'"prompt_tokens_details":{"cached_tokens":64}}}\n\n'
)
PLAIN = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


@pytest.fixture
def used(stack: Stack, tmp_path: Path) -> Used:
    return Used(stack, tmp_path / "gate1", stack.log)


def test_usage_is_what_clients_counted_streams_or_not_across_reloads(used: Used) -> None:
    stack = used.stack
    stack.engines["coder"].events = (CHUNK, TAKEN, b"data: [DONE]\n\n")
    stack.engines["assistant"].answer = json.dumps(PLAIN).encode()
    asked = (("good", "coder", True), ("good", "assistant", False), ("scoped", "coder", True))

    def ask(number: int) -> None:
        key, model, stream = asked[number % 3]
        stack.send(model, stream=stream, key=key).read()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(ask, range(12)))
            stack.gateway.reload()
            used.look()
    stack.gateway.wait_for_replaced()
    columns = ("completed", "prompt_tokens", "cached_tokens", "completion_tokens", "estimated")
    found = {(row.key, row.model): tuple(sums[column] for column in columns) for row, sums in used.sums().items()}
    assert found == {
        ("good", "coder"): (12, 12 * 70, 12 * 64, 12 * 3, 0),
        ("good", "assistant"): (12, 12 * 11, 0, 12 * 7, 0),
        ("scoped", "coder"): (12, 12 * 70, 12 * 64, 12 * 3, 0),
    }


def test_what_is_refused_counts_if_its_key_is_known(used: Used) -> None:
    stack = used.stack
    assert stack.send("nobody").status == 404
    assert stack.send(key="wrong").status == 401
    assert stack.send(key="scoped", model="assistant").status == 403
    found = {(row.key, row.model): one["rejected"] for row, one in used.sums().items()}
    assert found == {("good", ""): 1, ("scoped", "assistant"): 1}
    assert Row("wrong", "", "") not in used.sums()


def test_lines_that_nobody_took_are_lost_and_counted_once(used: Used) -> None:
    stack = used.stack

    def dropped() -> int:
        said = stack.gateway.ask("show info")
        return int(next(line for line in said.splitlines() if line.startswith("DroppedLogs: ")).split()[1])

    def lost() -> int:
        return sum(day.lost for day in used.look().days.values())

    earlier = dropped()
    with stack.log.paused():
        # The kernel queues a few; HAProxy never waits for a log.
        for _ in range(200):
            if dropped() > earlier:
                break
            assert stack.send(key="wrong").status == 401
    assert dropped() > earlier
    # The last answer may come before its line is lost.
    eventually(lambda: lost() == dropped())
    assert lost() == dropped()
