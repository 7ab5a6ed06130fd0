"""What HAProxy can't write to journald is counted."""

from __future__ import annotations

from tests.gateway.stack import Stack
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
        stack.gateway.wait_for_replaced()
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
