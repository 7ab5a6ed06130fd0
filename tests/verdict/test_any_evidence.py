"""Any evidence leads to a verdict that can be written and read."""

from __future__ import annotations

import json
from random import Random

import pytest

from rackwright.cli.render.verdict_html import as_html
from rackwright.report.verdict_document import verdict_document
from rackwright.report.verdict_text import verdict_text
from rackwright.verdict import Answer, Evidence, GoldenAnswers, Pair, Request, Traffic, Word, decide

SECONDS = (None, 0.0, 0.001, 0.25, 0.3, 3600.0)
COUNTS = (0, 1, 19, 21, *(230, 600) * 4)
"""Mostly enough for a comparison."""


def evidence(chance: Random) -> Evidence:
    """Anything from no evidence to enough of everything."""
    golden = GoldenAnswers("0" * 64, _pairs(chance), _pairs(chance)) if chance.random() < 0.8 else None
    return Evidence(_traffic(chance), _traffic(chance), golden)


def _traffic(chance: Random) -> Traffic:
    seconds, conversations = _seconds(chance), chance.choice((1, 20, *(100,) * 6))
    failing = chance.choice((*(0.0, 0.02) * 4, 1.0))
    return Traffic(
        tuple(
            Request(str(chance.randrange(conversations)), chance.random() < failing, *_two(chance, seconds))
            for _ in range(chance.choice(COUNTS))
        )
    )


def _pairs(chance: Random) -> tuple[Pair, ...]:
    seconds = _seconds(chance)
    return tuple(Pair("p", _answer(chance, seconds), _answer(chance, seconds)) for _ in range(chance.choice(COUNTS)))


def _answer(chance: Random, seconds: tuple[float | None, ...]) -> Answer:
    return Answer(chance.random() < 0.8, chance.choice((None, True, False)), *_two(chance, seconds))


def _seconds(chance: Random) -> tuple[float | None, ...]:
    """Return a few different times, or one repeated time."""
    return tuple(chance.choices(SECONDS, k=chance.choice((1, 4))))


def _two(chance: Random, seconds: tuple[float | None, ...]) -> tuple[float | None, float | None]:
    return chance.choice(seconds), chance.choice(seconds)


@pytest.mark.parametrize("seed", range(60))
def test_a_verdict_comes_of_any_evidence(seed):
    found = decide(evidence(Random(seed)), resamples=20)  # noqa: S311 (no secret)
    assert found.word in Word
    assert (found.word is Word.FAIL) is bool(found.of(Word.FAIL))
    assert (found.word is Word.PASS) is all(one.word is Word.PASS for one in found.comparisons if one.decides)
    assert all(one.word is Word.INCONCLUSIVE for one in found.comparisons if not one.decides)
    assert json.loads(json.dumps(verdict_document(found), allow_nan=False))["word"] == found.word
    assert verdict_text(found, "x")
    assert as_html(found, "x")
    for one in found.comparisons:
        if one.difference:
            wide, plain = one.difference.wide, one.difference.interval
            assert wide.low <= plain.low <= one.difference.estimate <= plain.high <= wide.high
