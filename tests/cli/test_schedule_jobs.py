"""A scheduled drill is the one of the fleet file, and knows what the schedule's earlier drills left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.cli.common.context import Context
from rackwright.cli.drill.run import Asked
from rackwright.cli.schedule.jobs import jobs_of
from tests.lifecycle.schedule.world import fleet

OURS = {"d7": frozenset({"scratch1"})}


@pytest.mark.parametrize("resumed", [True, False])
def test_a_drill_takes_over_only_what_the_schedule_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, resumed: bool
) -> None:
    asked: list[Asked] = []

    def sealed(one: Asked) -> Any:
        asked.append(one)
        report = SimpleNamespace(facts=SimpleNamespace(drill="d8"))
        return SimpleNamespace(doubts=(), report=report, sha256="1" * 64)

    monkeypatch.setattr("rackwright.cli.drill.run.sealed", sealed)
    turn = SimpleNamespace(resumed=resumed, ours=OURS, started=print)
    context = Context(fleet(tmp_path).path)
    result = jobs_of(context, cast(Any, SimpleNamespace(on_step=None)))["drill"](cast(Any, turn))
    assert result.summary == f"drill d8 passed: sha256 {'1' * 64}"
    (one,) = asked
    assert (one.take_over, one.drills, one.scenario) == (resumed, OURS, "everything")
