"""Synthetic requests and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rackwright.migrate.plan.plan import Score
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer, ReplayedCall
from rackwright.migrate.score.decide import decide
from rackwright.migrate.score.join import Answered, Join, Part
from rackwright.migrate.score.result import Scored
from rackwright.migrate.score.tally import Tally

MODEL = "gpt-4o-mini"


def request(name: str = "r1", **body: object) -> RecordedRequest:
    whole = {"model": MODEL, "messages": [{"role": "user", "content": f"Is {name} good?"}], **body}
    return RecordedRequest(id=name, path="/v1/chat/completions", model=MODEL, body=whole, origin="jsonl")


def answer(
    text: str = "yes",
    *,
    name: str = "r1",
    asked: Asked = "fleet",
    calls: Sequence[tuple[str, str]] = (),
    status: int = 200,
    finish: str = "stop",
    refusal: str = "",
) -> ReplayedAnswer:
    called = tuple(ReplayedCall(name=name, arguments=arguments) for name, arguments in calls)
    return ReplayedAnswer(
        request=name, asked=asked, status=status, text=text, calls=called, finish=finish, refusal=refusal
    )


def labelled(number: int, *, again: bool = True, fleet: bool = True) -> Answered:
    """Return a request whose label the cloud's second answer and the fleet's one agree with, or don't."""
    name = f"r{number:06}"
    texts = {"cloud": "yes", "again": "yes" if again else "no", "fleet": "yes" if fleet else "no"}
    return Answered(request(name), *(answer(text, name=name, asked=asked) for asked, text in texts.items()))


def labels(both: int = 0, again: int = 0, fleet: int = 0, neither: int = 0) -> list[Answered]:
    """Return so many requests for which both, only the cloud again, only the fleet, or neither agrees."""
    cells = [(True, True)] * both + [(True, False)] * again + [(False, True)] * fleet + [(False, False)] * neither
    return [labelled(number, again=one, fleet=other) for number, (one, other) in enumerate(cells)]


def tallied(answered: Iterable[Answered], models: Iterable[str] = (MODEL,)) -> Tally:
    found = Tally(frozenset(models))
    for one in answered:
        found.add(one)
    return found


def scored(answered: Iterable[Answered], **thresholds: object) -> Scored:
    return decide(tallied(answered), Score(**thresholds))


def lines(answered: Iterable[Answered]) -> dict[Part, list[str]]:
    """Return the lines of the four kinds of files."""
    found = list(answered)
    return {
        "requests": [one.request.model_dump_json() for one in found],
        "answers-cloud": [one.cloud.model_dump_json() for one in found],
        "answers-again": [one.again.model_dump_json() for one in found],
        "answers-fleet": [one.fleet.model_dump_json() for one in found],
    }


def joined(files: dict[Part, list[str]], **limits: int) -> tuple[Join, list[Answered]]:
    join = Join(lambda part: iter(files[part]), **limits)
    return join, list(_all(join))


def _all(join: Join) -> Iterator[Answered]:
    yield from join
