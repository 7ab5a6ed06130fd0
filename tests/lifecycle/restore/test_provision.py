"""Why a new machine could not be set up is said with the last line of the operation that failed."""

from __future__ import annotations

import pytest

from rackwright.errors import HostsFailed
from rackwright.lifecycle.restore.provision import _refuse_failed
from rackwright.run import Outcome, Run, Step


def step(host: str, *output: str, outcome: Outcome = Outcome.FAILED) -> Step:
    return Step(host, "chrony", "Install chrony", outcome, output=output)


def problems(run: Run) -> list[tuple[str, str, str | None]]:
    with pytest.raises(HostsFailed) as raised:
        _refuse_failed(run)
    return [(one.where, one.what, one.next) for one in raised.value.problems]


def test_each_failed_operation_is_named_with_its_last_line() -> None:
    run = Run(
        (step("gate1", "Reading lists", "E: no space left"), step("gate1"), step("gpu1", outcome=Outcome.CHANGED))
    )
    said = "chrony: Install chrony: E: no space left; chrony: Install chrony"
    assert problems(run) == [("gate1", said, "rackwright apply -l gate1")]


def test_a_host_out_of_reach_is_named_with_the_reason() -> None:
    assert problems(Run(unreachable={"gpu1": "connection refused"})) == [
        ("gpu1", "connection refused", "rackwright apply -l gpu1")
    ]
    assert problems(Run(unreachable={"gpu1": ""})) == [("gpu1", "could not be set up", "rackwright apply -l gpu1")]


def test_an_interruption_is_no_success_and_a_good_run_no_error() -> None:
    assert problems(Run(interrupted=True)) == [("", "interrupted before new machines were set up", None)]
    _refuse_failed(Run((step("gate1", outcome=Outcome.CHANGED),)))
