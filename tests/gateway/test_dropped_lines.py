"""What HAProxy can't write to journald is counted, and `status` shows the count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.status import _dropped_lines
from tests.gateway.stack import Stack, eventually
from tests.gateway.test_runtime import ended_whole, held_stream


def dropped(stack: Stack) -> int:
    """Return the count of the worker that takes new connections."""
    rows = dict(row.split(": ", 1) for row in stack.gateway.ask("show info").splitlines() if ": " in row)
    return int(rows["DroppedLogs"])


def refused(stack: Stack) -> str:
    return stack.send(key="wrong").getheader("x-request-id") or "-"


def test_a_line_that_journald_has_no_room_for_is_counted_until_its_worker_ends(stack: Stack) -> None:
    with stack.gateways() as gateways:
        stack.gateway.reload()
        eventually(lambda: len(stack.gateway.workers) == 1)
        assert gateways.dropped_lines() == {"gate1": 0}
        asked: list[str] = []
        response = held_stream(stack)
        with stack.log.paused():
            while dropped(stack) < 2:
                asked.append(refused(stack))
        # Lines arrive in the order in which they were written.
        stack.log.line(refused(stack))
        missing = [request for request in asked if not any(request in line for line in stack.log.lines)]
        count = dropped(stack)
        # HAProxy's notices count, too.
        assert 1 <= len(missing) <= count
        stack.gateway.reload()
        assert dropped(stack) == 0
        assert gateways.dropped_lines() == {"gate1": count}
        assert ended_whole(stack, response)


class Told:
    def dropped_lines(self) -> dict[str, int]:
        return {"gate1": 0, "gate2": 38}


class Unreachable:
    def dropped_lines(self) -> dict[str, int]:
        raise HostError("gate1: no route to host")


def test_status_warns_of_dropped_lines() -> None:
    session: Any = SimpleNamespace(gateways=Told())
    assert list(_dropped_lines(session, [])) == [
        "gate2: HAProxy has dropped 38 log lines, because journald was too slow; requests may be missing in the "
        "access log; next: on gate2, journalctl -u systemd-journald"
    ]


@pytest.mark.parametrize("notes", [[], ["gateways: gate1: no route to host"]], ids=["first", "again"])
def test_a_gateway_that_does_not_answer_is_noted_once(notes: list[str]) -> None:
    session: Any = SimpleNamespace(gateways=Unreachable())
    assert list(_dropped_lines(session, notes)) == []
    assert notes == ["gateways: gate1: no route to host"]
