from __future__ import annotations

import pytest

from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench.objectives import Verdict, missed, seconds, verdicts
from tests.lifecycle.bench.steps import step

STEP = step(2, latency=4, errors={"HTTP 503": 12}, answered=988)
"""First token after 2 s, a token every 400 ms, 1.2 % failed."""


def objectives(**said: object) -> Objectives:
    return Objectives.model_validate(said)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"ttft_p95": "2s"}, Verdict("ttft_p95", "at most 2.00 s", "2.00 s", True)),
        ({"ttft_p95": "1999ms"}, Verdict("ttft_p95", "at most 2.00 s", "2.00 s", False)),
        ({"tpot_p95": "400ms"}, Verdict("tpot_p95", "at most 400 ms", "400 ms", True)),
        ({"latency_p95": "3.9s"}, Verdict("latency_p95", "at most 3.90 s", "4.00 s", False)),
        ({"errors": "1.2%"}, Verdict("errors", "at most 1.20%", "1.20% (12 of 1000)", True)),
        ({"errors": "1%"}, Verdict("errors", "at most 1.00%", "1.20% (12 of 1000)", False)),
    ],
)
def test_each_objective_has_its_verdict(said, verdict):
    assert verdicts(STEP, objectives(**said)) == (verdict,)


def test_a_time_of_which_nothing_was_answered_is_missed():
    silent = STEP.model_copy(update={"ttft": None})
    assert verdicts(silent, objectives(ttft_p95="2s")) == (Verdict("ttft_p95", "at most 2.00 s", "none", False),)


def test_what_was_missed_is_named_and_nothing_else():
    assert missed(STEP, objectives(ttft_p95="1s", tpot_p95="1s", errors="1%")) == (
        "ttft_p95 is 2.00 s, errors is 1.20% (12 of 1000)"
    )
    assert missed(STEP, objectives(ttft_p95="2s")) is None
    assert missed(STEP, None) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "12.3 ms"), (0.1, "100 ms"), (0.9994, "999 ms"), (61, "61.00 s")]
)
def test_times_read_well(value, text):
    assert seconds(value) == text
