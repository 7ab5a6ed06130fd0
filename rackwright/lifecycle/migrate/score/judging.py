"""Have a model of the fleet compare answers for which there is no other check of what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from pydantic import JsonValue

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.judge import Choice, judged, questions, read_choice
from rackwright.migrate.score.request_checks import usable
from rackwright.migrate.score.tally import Tally
from rackwright.migrate.side import Side

MOST = 1000
"""Requests, in the order in which they were replayed: each takes four answers of the judge."""
_BATCH = 32
"""Requests whose texts wait for the judge together."""


class Ask(Protocol):
    """Asks one side, and returns an answer to each request by the request's id, whatever happens."""

    def __call__(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]: ...


@dataclass
class Judge:
    model: str
    served: str
    """A name under which clients ask for it."""
    ask: Ask = field(repr=False)
    say: Callable[[str], None] = field(repr=False)

    def judge(self, unclear: Iterator[Answered], tally: Tally) -> None:
        """Mark the first MOST of these in the judge's segment."""
        tally.expect("judge", self.model)
        some, begun = islice(unclear, MOST), 0
        while batch := tuple(islice(some, _BATCH)):
            self.say(f"{self.model} judges answers to the requests {begun + 1} to {begun + len(batch)}")
            self._add(batch, tally)
            begun += len(batch)

    def _add(self, batch: Sequence[Answered], tally: Tally) -> None:
        asked = [
            (kind, one, getattr(questions(one, self.served), kind)) for one in batch for kind in ("fleet", "again")
        ]
        requests = {
            (kind, one.request.id): tuple(self._request(kind, one, *body) for body in enumerate(bodies))
            for kind, one, bodies in asked
        }
        answers = self.ask("fleet", [request for both in requests.values() for request in both])
        for one in batch:
            ours, theirs = (_words(requests[kind, one.request.id], answers) for kind in ("fleet", "again"))
            if found := judged(ours, theirs, answered=usable(one.fleet)):
                tally.mark("judge", self.model, found)
            else:
                tally.unjudged += 1

    def _request(self, kind: str, one: Answered, number: int, body: Mapping[str, JsonValue]) -> RecordedRequest:
        name = f"judge/{kind}/{number}/{one.request.id}"
        return RecordedRequest(id=name, path="/v1/chat/completions", model=self.served, body=body, origin="jsonl")


def judge_of(place: Place, ask: Ask, say: Callable[[str], None]) -> Judge | None:
    """Return the plan's judge, None if it names none. Raise RackwrightError if the fleet has no such model."""
    name, models = place.plan.score.judge, place.session.fleet.file.models
    if name is None:
        return None
    if name not in models:
        where, should = f"{place.plan.migration} score.judge: {name}", f"one of {', '.join(models)}"
        next_ = f"correct the plan, then rackwright migrate score {place.plan.migration}"
        raise RackwrightError("no model of that name", where=where, should=f"should be {should}", next=next_)
    return Judge(name, models[name].names[0], ask, say)


def _words(asked: Sequence[RecordedRequest], answers: Mapping[str, ReplayedAnswer]) -> tuple[Choice | None, ...]:
    found = (answers.get(request.id) for request in asked)
    return tuple(read_choice(answer.text) if answer and usable(answer) else None for answer in found)
