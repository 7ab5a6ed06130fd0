"""How much evidence a candidate needs for a PASS if it looks exactly as good as the running version."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.steps import looks
from rackwright.verdict import Answer, Figure, GoldenAnswers, Pair, Request, Thresholds, Traffic, Word
from rackwright.verdict.errors import errors
from rackwright.verdict.figure import Measured, chances
from rackwright.verdict.golden import score
from rackwright.verdict.judge import judge

LOOKS = looks(Canary(golden="prompts.jsonl"))
"""Those of a canary with a golden set and otherwise default settings."""
AT = chances(len(Figure), LOOKS)


LENGTHS = (1, 1, 1, 1, 2, 2, 3, 4, 6, 9)
"""Requests of ten conversations: a few are much longer, as if each continued with a probability of two in three."""


def takes() -> tuple[int, int, int, int, int]:
    """Return how much a PASS takes: conversations of the candidate without an error, all of equal length or not, and
    with one failed request in a hundred; prompts where all pass, and where one answer in ten differs."""
    return (
        _least(10, _without_errors),
        _least(10, _of_unlike_lengths),
        _least(10, _with_errors),
        _least(5, _all_pass),
        _least(20, _some_turn),
    )


def _least(step: int, measured: Callable[[int], Measured]) -> int:
    """Return the smallest count that passes."""
    return next(count for count in itertools.count(step, step) if _passes(measured(count)))


def _passes(measured: Measured) -> bool:
    return judge(measured, Thresholds()).word is Word.PASS


def _without_errors(count: int) -> Measured:
    return _errors(count, (1,), failing=False)


def _of_unlike_lengths(count: int) -> Measured:
    return _errors(count, LENGTHS, failing=False)


def _with_errors(count: int) -> Measured:
    return _errors(count, LENGTHS, failing=True)


def _errors(count: int, lengths: Sequence[int], *, failing: bool) -> Measured:
    """The running version has three times as many conversations, as with a share of 25 %."""
    running, candidate = (_traffic(conversations, lengths, failing=failing) for conversations in (3 * count, count))
    return errors(running, candidate, AT)


def _traffic(conversations: int, lengths: Sequence[int], *, failing: bool) -> Traffic:
    """If `failing`, one request in a hundred fails."""
    of = [number for number in range(conversations) for _ in range(lengths[number % len(lengths)])]
    return Traffic(tuple(Request(str(number), failing and place % 100 == 99) for place, number in enumerate(of)))


def _all_pass(count: int) -> Measured:
    return _score([(True, True)] * count)


def _some_turn(count: int) -> Measured:
    """Both pass 85 of a hundred prompts, but not the same ones."""
    return _score(([(True, True)] * 16 + [(True, False), (False, True)] + [(False, False)] * 2) * (count // 20))


def _score(passed: Sequence[tuple[bool, bool]]) -> Measured:
    pairs = tuple(Pair("p", Answer(one), Answer(other)) for one, other in passed)
    return score(GoldenAnswers("0" * 64, pairs), AT, Thresholds().golden)
