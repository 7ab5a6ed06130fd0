"""Which requests of a log reached a replica during a time when no gateway should have sent it any."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchmarks.rollout import drained
from rackwright.roles.gateway.access_log import Access
from tests.lab.access import Drained, reached

FIRST, SECOND = "gpu1/assistant@1", "gpu2/assistant@1"


def access(at: float, *, replica: str = FIRST, queued: int | None = 0) -> Access:
    return Access(
        format="access/1",
        time=datetime.fromtimestamp(at, UTC),
        request="an-id",
        key="load",
        model="assistant",
        replica=replica,
        digest=None,
        path="/v1/chat/completions",
        stream=False,
        status=200,
        end="completed",
        bytes=1,
        queued_ms=queued,
        first_byte_ms=1,
        total_ms=1,
        prompt_tokens=None,
        completion_tokens=None,
    )


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (access(100.5), True),
        (access(99.9), False),
        (access(110.1), False),
        (access(100.5, replica=SECOND), False),
        # Sent after it had waited.
        (access(99.9, queued=500), True),
        (access(109.9, queued=500), False),
        (access(100.5, queued=None), True),
    ],
)
def test_what_is_sent_to_a_replica_while_it_is_drained_has_reached_it(one: Access, *, found: bool) -> None:
    told = reached([one], [Drained(FIRST, 100, 110)])
    assert told == ([f"reached {FIRST} while it was drained: an-id"] if found else [])


def test_a_replica_is_drained_from_its_act_until_it_is_undrained_or_to_the_end() -> None:
    steps = [
        (1.0, f"{FIRST}  checking that it may go down"),
        (2.0, f"{FIRST}  draining"),
        (3.0, f"{FIRST}  draining (3 in flight)"),
        (8.0, f"{FIRST}  updating"),
        (9.0, f"{FIRST}  reverting: it refuses to start"),
        (10.0, f"{FIRST}  restarting: the previous version"),
        (20.0, f"{FIRST}  undraining at every gateway"),
        (21.0, f"{FIRST}  reverted: the previous version serves"),
        (25.0, f"{SECOND}  updating"),
        (26.0, "error: gpu2/assistant@1: it could not be reverted"),
    ]
    assert list(drained(1000, steps)) == [Drained(FIRST, 1008, 1020), Drained(SECOND, 1025)]
