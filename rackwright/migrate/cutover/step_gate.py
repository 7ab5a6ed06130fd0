"""Whether the share of a cutover may grow, must go back, or has to wait. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rackwright.migrate.plan.cutover import Cutover
from rackwright.verdict import Word

LOOKS = 4
"""The most verdicts in one step: they share the allowed chance of an error."""
_GROWTH = 2.0
"""How many times as many requests there should be before the next verdict, at least."""


class Next(StrEnum):
    WAIT = "wait"
    GROW = "grow"
    BACK = "back"
    PAUSE = "pause"


@dataclass(frozen=True)
class Moment:
    """The present state of one step."""

    lasted: float
    """Seconds since all gateways have had the share."""
    waited: float
    """Seconds for which the step has been watched, without the time in which the cutover was paused."""
    requests: int
    """That the fleet has had in the step."""
    blocked: tuple[str, ...] = ()
    """What keeps the share from growing, apart from the verdict."""
    word: Word | None = None
    """The newest verdict's; None: not judged yet."""
    score: Word | None = Word.PASS
    """That of requests of the step; None: not worked out yet."""


def is_due(rules: Cutover, moment: Moment, judged: tuple[int, ...], growth: float = _GROWTH) -> bool:
    """Return whether a verdict is due. `judged`: the fleet's requests at each earlier verdict of this step.

    The first one is due when the step has had its time and its requests. After an open one, the next is due with
    `growth` times as many requests, and the last one when the step's time is over.
    """
    if not _complete(rules, moment):
        return False
    if not judged:
        return True
    over = moment.waited >= rules.max_duration and moment.requests > judged[-1]
    return over or (len(judged) < LOOKS - 1 and moment.requests >= growth * judged[-1])


def following(rules: Cutover, moment: Moment) -> Next:
    """Return what to do next.

    | verdict | score | time and requests | something else blocks | next |
    |---|---|---|---|---|
    | FAIL | any | any | any | back |
    | any | FAIL | any | any | back |
    | PASS | PASS | enough | no | grow |
    | any other | any other | any | any | wait; pause when the time is over |
    """
    if Word.FAIL in (moment.word, moment.score):
        return Next.BACK
    if moment.word is moment.score is Word.PASS and _complete(rules, moment) and not moment.blocked:
        return Next.GROW
    return Next.PAUSE if moment.waited >= rules.max_duration else Next.WAIT


def shares_from(rules: Cutover, first: float | None) -> tuple[float, ...]:
    """Return the steps from this share on; None: all."""
    return tuple(share for share in rules.share if first is None or share >= first)


def _complete(rules: Cutover, moment: Moment) -> bool:
    return moment.lasted >= rules.min_duration and moment.requests >= rules.min_requests
