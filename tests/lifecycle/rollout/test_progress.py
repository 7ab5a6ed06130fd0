"""What a rollout prints while it runs."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.rollout import between, drained
from rackwright.errors import ProofError
from rackwright.lifecycle.rollout.change import Revert
from tests.lab.access import Drained
from tests.lifecycle.simulation import Gateways, change, replicas, rollout


def progress(requests: list[int], **said: object) -> list[str]:
    """Return the lines about one replica's change; `requests`: how many are in flight at each look."""
    one, two = replicas(2)
    run, _ = rollout(Gateways(up={one.address, two.address}, requests={one.address: requests}), size=2)
    lines: list[str] = []
    made = replace(change(one, **said), doing="updating")  # type: ignore[arg-type]
    try:
        replace(run, say=lines.append).run([made])
    except ProofError:
        lines.append("failed")
    return lines


def test_each_phase_is_a_line_after_the_replicas_address():
    assert progress([3, 3, 0]) == [
        "gpu1/assistant@1  checking that it may go down",
        "gpu1/assistant@1  draining",
        "gpu1/assistant@1  draining (3 in flight)",
        "gpu1/assistant@1  updating",
        "gpu1/assistant@1  proving: real answers at its socket, then through every gateway",
        "gpu1/assistant@1  undraining at every gateway",
        "gpu1/assistant@1  soaking for 5 s",
        "gpu1/assistant@1  done",
    ]


def test_an_idle_replica_has_no_line_of_requests_in_flight():
    assert not any("in flight" in line for line in progress([0]))


def test_a_revert_says_why_and_what_serves_then():
    back = Revert(lambda: None, lambda: None)
    lines = progress([0], prove=lambda: "HTTP 500", revert=back)
    assert lines[4:] == [
        "gpu1/assistant@1  reverting: not proven after 20 s: HTTP 500",
        "gpu1/assistant@1  restarting: the previous version",
        "gpu1/assistant@1  undraining at every gateway",
        "gpu1/assistant@1  reverted: the previous version serves",
        "failed",
    ]


def test_the_rollout_benchmark_reads_from_the_lines_when_a_replica_was_drained():
    assert list(drained(100, enumerate(progress([0])))) == [Drained("gpu1/assistant@1", since=102, until=104)]


def test_the_rollout_benchmark_measures_from_the_first_to_the_last_line_about_a_replica():
    lines = ["[1/3] Survey the hosts", *progress([0]), "[3/3] Record", "  rackwright status"]
    assert between(enumerate(lines)) == len(progress([0])) - 1
