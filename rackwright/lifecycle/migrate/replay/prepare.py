"""What a replay would ask, and what that may cost. Refuses whatever can't work before anything is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.replay.answered import Answered, read_answers
from rackwright.lifecycle.migrate.spending import other_currency
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.price_of import most, price, usual
from rackwright.migrate.asking.sample import Drawn, Sample, draw
from rackwright.migrate.asking.way import Way
from rackwright.migrate.file_kind import ANSWERS
from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import lines_in
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer


@dataclass(frozen=True)
class Prepared:
    sample: Sample
    answered: Answered
    way: Way
    spent: float
    """What replays of this migration have cost so far."""
    interrupted: float
    """How much of it is the reserve of a replay that was killed."""
    otherwise: float = 0.0
    """What else has cost money from the same budget."""

    @property
    def pending(self) -> tuple[Drawn, ...]:
        """Return the requests that lack an answer, in order."""
        return tuple(one for one in self.sample.drawn if self.answered.lacks(one.id))

    def usual(self) -> float:
        """Return what the cloud will probably charge for what is pending."""
        return sum(one.usual * self.asks(one) for one in self.pending)

    def most(self) -> float:
        """Return what it may charge."""
        return sum(one.most * self.asks(one) for one in self.pending)

    def asks(self, one: Drawn) -> int:
        """Return how often the cloud will be asked."""
        return sum(asked != "fleet" for asked in self.answered.lacks(one.id))


def prepare(
    plan: Plan,
    folder: Folder,
    before: Outcome | None,
    way: Way,
    *,
    otherwise: float = 0.0,
    max_request: int | None = None,
    size: int | None = None,
    since: float = 0.0,
) -> Prepared:
    """Return what a replay would ask. `before`: what earlier replays of this migration noted. `max_request`: bytes of
    the largest body that the gateways take, which is all that can be replayed through them; None: any. `size`: of the
    sample; None: `replay.sample`. `since`: requests that arrived before aren't in it, Unix seconds.

    Answers of another cloud or model, or to requests that were changed in another way, don't count.

    Raise RackwrightError if the folder has no request or can't be read, or if the plan's currency was changed.
    """
    if before and before.currency != plan.currency:
        what = f"earlier replays have spent {before.spent:.2f} {before.currency}"
        raise other_currency(plan.migration, what, before.currency)
    paid = {one.request for one in read_answers(folder, "cloud", way)}
    known = _Charged(plan, folder)
    sample = draw(
        known.counting(_arrived(lines_in(folder, "requests", RecordedRequest), since)),
        plan.models,
        plan.replay.sample if size is None else size,
        paid,
        plan.migration,
        lambda request: (usual(plan, request), most(plan, request)),
        max_request,
    )
    if not sample.drawn:
        raise RackwrightError(
            "has no request that can be replayed",
            where=str(folder.path),
            next=f"rackwright migrate capture {plan.migration}, or rackwright migrate import {plan.migration} FILE",
            listed=(f"{count} left out: {why}" for why, count in sample.left_out.items()),
        )
    # A control host that was restored from an older snapshot knows less than the folder.
    spent = max(before.spent if before else 0.0, known.charged)
    reserved = before.reserved if before else 0.0
    answered = _answered(folder, {one.id for one in sample.drawn}, way)
    return Prepared(sample, answered, way, spent + reserved, reserved, otherwise)


def _arrived(requests: Iterable[tuple[str, RecordedRequest]], since: float) -> Iterator[tuple[str, RecordedRequest]]:
    return (one for one in requests if not since or (one[1].arrived or 0) >= since)


class _Charged:
    """What the answers in the folder have cost at least: those with token counts, whichever cloud gave them."""

    def __init__(self, plan: Plan, folder: Folder) -> None:
        self.charged = 0.0
        self._plan = plan
        self._tokens: dict[str, list[tuple[int, int]]] = {}
        ends: tuple[Asked, ...] = ("cloud", "again")
        for asked in ends:
            for _, answer in lines_in(folder, ANSWERS[asked], ReplayedAnswer):
                if answer.prompt_tokens is not None and answer.completion_tokens is not None:
                    tokens = answer.prompt_tokens, answer.completion_tokens
                    self._tokens.setdefault(answer.request, []).append(tokens)

    def counting(self, requests: Iterable[tuple[str, RecordedRequest]]) -> Iterator[tuple[str, RecordedRequest]]:
        """Yield the requests; afterwards `charged` has the cost of answers to them."""
        for file, request in requests:
            if request.model in self._plan.prices:
                of_it = self._tokens.pop(request.id, ())
                self.charged += sum(price(self._plan, request.model, *tokens) for tokens in of_it)
            yield file, request


def _answered(folder: Folder, ids: Collection[str], way: Way) -> Answered:
    """Return what was answered of the sample, which may be smaller than an earlier one."""
    answers = Answered()
    for answer in (one for asked in ANSWERS for one in read_answers(folder, asked, way)):
        if answer.request in ids:
            answers.add(answer)
    return answers
