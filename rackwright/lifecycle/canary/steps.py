"""Decide what happens next with a canary. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.evidence import NEWEST_CONVERSATIONS
from rackwright.verdict import Traffic, Verdict, Word

RELOOKS = 2
"""How often the last step is judged again when enough more data has come; it is judged once more at its end."""
_LEAST_GROWTH, _MOST_GROWTH = 2.0, 16.0
_MARGIN = 1.1
"""Safety factor: the data may differ from the verdict's estimate, and two conversations may get one number."""
_FAILED, _FINE = 0.5, 0.1


class Next(StrEnum):
    WAIT = "wait"
    GROW = "grow"
    """Nothing speaks against the canary: go to the next step, which brings more data."""
    BACK = "back"
    PAUSE = "pause"
    ON = "on"


@dataclass(frozen=True)
class Moment:
    """The present state of one step."""

    last: bool
    """Whether it is the last step."""
    lasted: float
    """Seconds."""
    requests: int
    """How many requests the canary has had in it."""
    word: Word | None = None
    """The verdict's word; None: not judged yet, or not judged again now."""


def looks(rules: Canary) -> int:
    """Return the highest number of verdicts in a trial: they share the allowed chance of an error."""
    golden = 1 if rules.golden else 0
    return golden + len(rules.share) + RELOOKS + 1


def is_due(rules: Canary, moment: Moment, judged: tuple[int, ...], growth: float = _LEAST_GROWTH) -> bool:
    """Return whether a verdict is due. `judged`: the canary's requests at each earlier verdict of this step.

    A verdict is due at the step's end. In the last step it is due again, a few times, when there are `growth` times
    as many requests, and once more when the time is over.
    """
    if not judged:
        return _complete(rules, moment)
    if not moment.last:
        return False
    over = moment.lasted >= rules.max_duration
    return over or (len(judged) <= RELOOKS and moment.requests >= growth * judged[-1])


def growth_for(verdict: Verdict) -> float:
    """Return how many times as much data there should be before the next verdict: a little more than this verdict
    says is needed, but at least twice and at most sixteen times as much, because with few data that is only a
    guess."""
    open_ones = [one for one in verdict.of(Word.INCONCLUSIVE) if one.decides and one.figure.of == "conversations"]
    wanted = [
        _MARGIN * one.needed / one.candidate.clusters for one in open_ones if one.needed and one.candidate.clusters
    ]
    return min(_MOST_GROWTH, max([_LEAST_GROWTH, *wanted]))


def following(rules: Canary, moment: Moment) -> Next:
    """Return what to do next.

    | time and requests | verdict | a step before the last | the last step |
    |---|---|---|---|
    | any | FAIL | back | back |
    | not enough | none | wait; pause when time is over | wait; pause when time is over |
    | enough | PASS | grow | on |
    | enough | INCONCLUSIVE, none | grow | wait; pause when time is over |
    """
    if moment.word is Word.FAIL:
        return Next.BACK
    if _complete(rules, moment):
        if not moment.last:
            return Next.GROW
        if moment.word is Word.PASS:
            return Next.ON
    return Next.PAUSE if moment.lasted >= rules.max_duration else Next.WAIT


def is_hopeless(running: Traffic, candidate: Traffic) -> bool:
    """Given the newest requests of both, return whether the canary fails most conversations and the running version
    hardly any, so that the trial can end at once. If conversations fail with a chance of 10 %, 11 of 20 fail once in
    a million times."""
    tried, others = _failed(candidate), _failed(running)
    if len(tried) < NEWEST_CONVERSATIONS or not others:
        return False
    return _share(tried) > _FAILED and _share(others) < _FINE


def _failed(traffic: Traffic) -> dict[str, bool]:
    """Conversation → whether a request of it failed."""
    failed: dict[str, bool] = {}
    for request in traffic.requests:
        failed[request.conversation] = failed.get(request.conversation, False) or request.error
    return failed


def _share(failed: dict[str, bool]) -> float:
    return sum(failed.values()) / len(failed)


def _complete(rules: Canary, moment: Moment) -> bool:
    return moment.lasted >= rules.min_duration and moment.requests >= rules.min_requests
