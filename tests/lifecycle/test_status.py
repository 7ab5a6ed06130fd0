"""What status says of a replica's traffic."""

from __future__ import annotations

from datetime import UTC, datetime

from rackwright.gateway import CanaryShare, DrainRecord, ServerState
from rackwright.lifecycle.status import _traffic

MOMENT = datetime(2026, 11, 27, 3, 15, tzinfo=UTC)


def test_a_canary_is_drained_and_says_what_it_gets():
    record = DrainRecord(who="ada (SHA256:x) on laptop", reason="model update assistant", manual=False, time=MOMENT)
    state = ServerState("gpu1", "assistant@1", True, True, 3, record, CanaryShare(5.0, MOMENT, "r1"))
    assert _traffic(state) == (
        "drained: model update assistant (ada, since 2026-11-27 03:15 UTC); canary: 5 % of the conversations"
    )
    assert _traffic(ServerState("gpu1", "assistant@1", True, True, 3, record)).endswith("UTC)")
