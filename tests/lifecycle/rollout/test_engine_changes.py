"""What the rollout decides about engines before it changes a host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.rollout.engine_changes import Engines, last_journal_lines
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.remote.completed import Completed
from rackwright.roles.replica.unit import unit_digest
from tests.lifecycle.proving import site_of


def engines(unit: str, status: int = 0) -> Engines:
    """`unit` is the sha256 of the unit on every host; with a nonzero status, the look ends before it prints that."""
    told = b"" if status else f"replica=assistant@1\nActiveState=active\nwanted={unit}\n".encode()
    session: Any = site_of({})
    host = SimpleNamespace(run=lambda *_, **__: Completed(status, told, b"", "gpu1"))
    session.remote.connection = lambda name: host
    return Engines(session, SimpleNamespace(run="r1"), SimpleNamespace(say=print))  # type: ignore[arg-type]


def test_what_is_not_applied_yet_is_not_restarted() -> None:
    made = engines("0" * 64)
    replica = made.session.fleet.replicas[0]
    with pytest.raises(RackwrightError, match="its unit isn't the one that fleet file and lock ask for"):
        made.restarted(replica, "asked for").check()


def test_what_is_applied_may_be_restarted() -> None:
    session: Any = site_of({})
    replica = session.fleet.replicas[0]
    engines(unit_digest(unit_of(session, replica))).restarted(replica, "asked for").check()


@pytest.mark.parametrize("status", [-1, 137, 1])
def test_an_engine_that_could_not_be_inspected_is_not_restarted(status: int) -> None:
    made = engines("0" * 64, status)
    with pytest.raises(HostError, match="gpu1: looking at the engine"):
        made.restarted(made.session.fleet.replicas[0], "asked for").check()


def test_an_engines_last_words_are_those_before_it_ended() -> None:
    first = ["rackwright-assistant@1.service: Starting", "load: reading", "load: failed to load model", "exiting"]
    ended = [
        "rackwright-assistant@1.service: Main process exited, code=exited, status=1/FAILURE",
        "rackwright-assistant@1.service: Failed with result 'exit-code'.",
    ]
    assert last_journal_lines([*first, *ended]) == "load: reading; load: failed to load model; exiting"
    again = ["Started rackwright-assistant@1.service", "build: 1", "system: 2", "--------"]
    assert last_journal_lines([*first, *ended, *again]) == "load: reading; load: failed to load model; exiting"
    assert last_journal_lines(first) == "load: reading; load: failed to load model; exiting"
    assert last_journal_lines(ended) == last_journal_lines([]) == "it printed nothing"
