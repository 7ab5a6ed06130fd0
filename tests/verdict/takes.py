"""How much it takes that a candidate passes which is seen to be exactly as good as the running version."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.steps import looks
from rackwright.verdict import Answer, Figure, GoldenAnswers, Pair, Request, Thresholds, Traffic, Word
from rackwright.verdict.errors import errors
from rackwright.verdict.golden import score
from rackwright.verdict.judge import judge
from rackwright.verdict.measured import Measured, chances

LOOKS = looks(Canary(golden="prompts.jsonl"))
"""Of a canary with a golden set, and else as it is by default."""
AT = chances(len(Figure), LOOKS)


def takes() -> tuple[int, int, int, int]:
    """Return how many requests of the candidate it takes without an error, and where one in a hundred fails; how many
    prompts where all pass, and where one answer in ten comes out otherwise."""
    return (
        _least(10, _without_errors),
        _least(100, _with_errors),
        _least(5, _all_pass),
        _least(20, _some_turn),
    )


def _least(step: int, measured: Callable[[int], Measured]) -> int:
    """Return from how many on it passes."""
    return next(count for count in itertools.count(step, step) if _passes(measured(count)))


def _passes(measured: Measured) -> bool:
    return judge(measured, Thresholds()).word is Word.PASS


def _without_errors(count: int) -> Measured:
    return errors(_requests(3 * count, 0), _requests(count, 0), AT)


def _with_errors(count: int) -> Measured:
    return errors(_requests(3 * count, 3 * count // 100), _requests(count, count // 100), AT)


def _requests(count: int, failed: int) -> Traffic:
    """Each a conversation of its own; the running version has three times as many, as where the share is 25 %."""
    return Traffic(tuple(Request(str(number), number < failed) for number in range(count)))


def _all_pass(count: int) -> Measured:
    return _score([(True, True)] * count)


def _some_turn(count: int) -> Measured:
    """Both pass 85 of a hundred prompts, not the same ones."""
    return _score(([(True, True)] * 16 + [(True, False), (False, True)] + [(False, False)] * 2) * (count // 20))


def _score(passed: Sequence[tuple[bool, bool]]) -> Measured:
    pairs = tuple(Pair("p", Answer(one), Answer(other)) for one, other in passed)
    return score(GoldenAnswers("0" * 64, pairs), AT, Thresholds().golden)
