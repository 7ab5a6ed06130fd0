"""`migrate capture` and `migrate erase`: what they say, and their exit codes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle.migrate import capture as procedure
from rackwright.lifecycle.migrate import erase as erasing
from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway


@pytest.fixture
def captures(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> StandInCaptures:
    from contextlib import contextmanager

    found = StandInCaptures({"gate1": StandInGateway()})
    for module in (procedure, erasing):
        monkeypatch.setattr(module, "captures_of", lambda *_: found)

    @contextmanager
    def session(*_: Any, **__: Any) -> Any:
        yield SimpleNamespace(**vars(desk.session))

    monkeypatch.setattr("rackwright.lifecycle.session.session.open_session", session)
    return found


def run(desk: Desk, *words: str) -> Any:
    return rackwright("-f", desk.path, "migrate", *words)


def test_a_capture_from_its_start_to_its_erasure(desk: Desk, captures: StandInCaptures) -> None:
    started = run(desk, "capture", "support")
    assert started.exit_code == 0
    assert started.stdout.splitlines() == [
        "gate1: records until 2027-01-15T08:00:00Z; 0 requests recorded",
        "not recorded: full 1",
        "next: rackwright migrate capture support --fetch",
    ]
    captures.gateways["gate1"].record("1", "2")
    looked = run(desk, "capture", "support", "--look", "--json")
    assert looked.document["gateways"]["gate1"]["recorded"] == 2
    ended = run(desk, "capture", "support", "--stop", "--fetch")
    assert ended.exit_code == 0
    assert ended.stdout.splitlines() == [
        "gate1: records nothing now; 2 requests recorded",
        "not recorded: full 1",
        "personal data replaced: email 2",
        "2 requests brought to the folder, in 1 file",
        "next: rackwright migrate assess support",
    ]
    erased = run(desk, "erase", "support", "--folder", "--yes")
    assert erased.exit_code == 0
    assert erased.stdout.splitlines() == [
        "gate1: lists no recorded request",
        "the folder: 1 file removed; it lists none",
    ]
    # It asks, and there is no one to answer.
    assert run(desk, "erase", "support").exit_code == 2


def test_a_gateway_that_is_down_is_named_with_exit_3(desk: Desk, captures: StandInCaptures) -> None:
    captures.gateways["gate1"].down = True
    for words in (("capture", "support"), ("capture", "support", "--fetch"), ("erase", "support", "--yes")):
        ran = run(desk, *words)
        assert ran.exit_code == 3
        assert "gate1: can't be reached" in ran.stderr
    assert ran.stdout.splitlines()[-1] == "next: rackwright migrate erase support"


def test_look_does_not_go_with_what_changes_something(desk: Desk) -> None:
    assert run(desk, "capture", "support", "--look", "--stop").exit_code == 2
