"""The table that a cutover's step is decided by."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rackwright.migrate.cutover.step_gate import Moment, Next, following, is_due, shares_from
from rackwright.migrate.plan.cutover import Cutover
from rackwright.verdict import Word

RULES = Cutover(min_duration=100, min_requests=50, max_duration=1000)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (Moment(100, 100, 50, word=Word.PASS), Next.GROW),
        (Moment(99, 99, 50, word=Word.PASS), Next.WAIT),
        (Moment(100, 100, 49, word=Word.PASS), Next.WAIT),
        (Moment(100, 100, 50, ("a residual",), Word.PASS), Next.WAIT),
        (Moment(1, 1, 1, word=Word.FAIL), Next.BACK),
        (Moment(1, 1, 1, ("a residual",), Word.FAIL), Next.BACK),
        (Moment(100, 100, 50, word=Word.INCONCLUSIVE), Next.WAIT),
        (Moment(2000, 999, 50, word=Word.INCONCLUSIVE), Next.WAIT),
        (Moment(2000, 1000, 50, word=Word.INCONCLUSIVE), Next.PAUSE),
        (Moment(2000, 1000, 50, ("a residual",), Word.PASS), Next.PAUSE),
        (Moment(2000, 1000, 5), Next.PAUSE),
        (Moment(2000, 1000, 50, word=Word.PASS), Next.GROW),
        (Moment(5, 5, 5), Next.WAIT),
        (Moment(100, 100, 50, word=Word.PASS, score=None), Next.WAIT),
        (Moment(100, 100, 50, word=Word.PASS, score=Word.INCONCLUSIVE), Next.WAIT),
        (Moment(2000, 1000, 50, word=Word.PASS, score=Word.INCONCLUSIVE), Next.PAUSE),
        (Moment(100, 100, 50, word=Word.PASS, score=Word.FAIL), Next.BACK),
        (Moment(5, 5, 5, score=Word.FAIL), Next.BACK),
        (Moment(100, 100, 50, word=Word.INCONCLUSIVE, score=Word.PASS), Next.WAIT),
    ],
)
def test_what_follows(moment: Moment, expected: Next) -> None:
    assert following(RULES, moment) is expected


@pytest.mark.parametrize(
    ("lasted", "waited", "requests", "judged", "due"),
    [
        (100, 100, 50, (), True),
        (99, 99, 50, (), False),
        (100, 100, 49, (), False),
        (200, 200, 99, (50,), False),
        (200, 200, 100, (50,), True),
        (200, 200, 800, (50, 100, 200), False),
        (1000, 1000, 800, (50, 100, 200), True),
        (1000, 1000, 200, (50, 100, 200), False),
    ],
)
def test_when_a_verdict_is_due(
    lasted: float, waited: float, requests: int, judged: tuple[int, ...], due: bool
) -> None:
    assert is_due(RULES, Moment(lasted, waited, requests), judged) is due


def test_there_are_never_more_verdicts_than_share_the_chance_of_an_error() -> None:
    judged: list[int] = []
    for second in range(0, 3000, 10):
        moment = Moment(second, second, second * 7)
        if is_due(RULES, moment, tuple(judged)) and (len(judged) < 4 or second >= 1000):
            judged.append(moment.requests)
        if second >= 1000:
            break
    assert len(judged) <= 4


def test_the_steps_of_a_plan() -> None:
    assert shares_from(RULES, None) == (1, 5, 25, 50, 100)
    assert shares_from(RULES, 25) == (25, 50, 100)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"share": [5, 1, 100]}, "should increase"),
        ({"share": [5, 50]}, "ends at 50; should end at 100"),
        ({"share": [100]}, "at least 2"),
        ({"share": [0, 100]}, "greater than or equal to 0.1"),
        ({"share": [50, 101]}, "less than or equal to 100"),
        ({"min_duration": "2h", "max_duration": "1h"}, "max_duration is shorter"),
        ({"min_requests": 5}, "greater than or equal to 20"),
    ],
)
def test_a_plan_that_can_t_be_followed_is_refused(written: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Cutover.model_validate(written)
