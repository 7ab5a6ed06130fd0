"""What each engine runs, since when, and why the one before it ended, as its host says it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.lifecycle.status.engines import Engine, parse_engines
from rackwright.lifecycle.status.parts import ReplicaStatus, TrafficState

SHOWN = ReplicaStatus("gpu1/a@1", "a", ("a",), "ready", None, TrafficState.YES, 0, "b1", None)


def engine(**fields: object) -> Engine:
    said = {"replica": "a@1", "seconds": 120, "restarts": 0, "runtime": "llama_cpp-b1", **fields}
    (found,) = parse_engines("".join(f"{key}={value}\n" for key, value in said.items())).values()
    return found


def test_one_that_was_never_restarted_has_only_its_age() -> None:
    assert engine() == Engine("a@1", 120, 0, "llama_cpp-b1", None)


def test_hosts_without_an_engine_that_runs_say_nothing() -> None:
    assert parse_engines("") == {}
    assert list(parse_engines("replica=a@1\nseconds=1\nrestarts=0\nreplica=b@1\nseconds=2\nrestarts=0\n")) == [
        "a@1",
        "b@1",
    ]


@pytest.mark.parametrize("evidence", [120, 121, 1020])
def test_evidence_from_just_before_the_start_says_why(evidence: int) -> None:
    found = engine(restarts=3, evidence=evidence, found="hung", reason="no token in 30 s", exited="killed, 9/KILL")
    assert found.ended == "hung: no token in 30 s"


@pytest.mark.parametrize("evidence", [119, 1021])
def test_evidence_of_another_start_says_nothing_about_this_one(evidence: int) -> None:
    assert engine(restarts=1, evidence=evidence, found="hung", exited="exited, 1/FAILURE").ended == (
        "it exited (exited, 1/FAILURE)"
    )


def test_what_a_host_says_is_bounded() -> None:
    assert len(engine(restarts=1, evidence=121, found="hung", reason="x" * 5000).ended or "") == 200
    assert engine(runtime="../../etc").runtime is None
    assert engine(runtime="").runtime is None


@pytest.mark.parametrize(
    ("seconds", "restarts", "ended", "text"),
    [
        (None, 0, None, "-"),
        (59, 0, None, "59 s ago"),
        (7200, 0, None, "2 h ago"),
        (130, 2, "hung: no token", "2 min ago, restart 2: hung: no token"),
        (130, 1, None, "2 min ago, restart 1"),
    ],
)
def test_the_start_is_shown_with_restarts_and_why(
    seconds: int | None, restarts: int, ended: str | None, text: str
) -> None:
    shown = replace(SHOWN, running_seconds=seconds, restarts=restarts, last_end=ended)
    assert shown.started_text == text
