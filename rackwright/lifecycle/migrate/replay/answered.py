"""Which requests of a sample were asked, and what became of them, by the answers in the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.replay.ask_part import Wanted
from rackwright.migrate.asking.outcome import Asks
from rackwright.migrate.asking.way import Way
from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import parsed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer
from rackwright.migrate.score.join import Part, Read

KINDS: Mapping[Asked, str] = {"cloud": "answers-cloud", "again": "answers-again", "fleet": "answers-fleet"}


@dataclass
class Answered:
    """Id of a request → whether its answer is usable, for each side."""

    usable: dict[Asked, dict[str, bool]] = field(default_factory=lambda: {asked: {} for asked in KINDS})
    asks: dict[Asked, Asks] = field(default_factory=lambda: {asked: Asks() for asked in KINDS})

    def add(self, answer: ReplayedAnswer) -> None:
        """Count an answer. The first one to a request counts."""
        known = self.usable[answer.asked]
        if answer.request not in known:
            known[answer.request] = not answer.error
            self.asks[answer.asked] = self.asks[answer.asked].plus(answer)

    def lacks(self, id: str) -> tuple[Asked, ...]:
        """Return who is still to be asked. A request that the cloud doesn't answer has no use for the others."""
        usable = self.usable["cloud"].get(id)
        if usable is None:
            return ("cloud", "again", "fleet")
        return tuple(asked for asked in ("again", "fleet") if usable and id not in self.usable[asked])

    def wanted(self, request: RecordedRequest) -> Wanted:
        lacking = self.lacks(request.id)
        return Wanted(request, frozenset(asked for asked in KINDS if asked not in lacking))


def read_answers(folder: Folder, asked: Asked, way: Way) -> Iterator[ReplayedAnswer]:
    """Yield each answer of this end in the folder that still holds. Raise RackwrightError if one can't be read."""
    for name, _ in folder.of(KINDS[asked]):
        for number, line in enumerate(folder.lines(name), 1):
            answer = _parsed(line, f"{folder.path / name} line {number}")
            if way.holds(answer):
                yield answer


def reading(folder: Folder, way: Way) -> Read:
    """Return what reads a kind of lines of the folder, without answers that no longer hold."""

    def read(part: Part) -> Iterator[str]:
        for line in folder.read(part):
            if part == "requests" or way.holds(parsed(part, line, ReplayedAnswer)):
                yield line

    return read


def _parsed(line: str, where: str) -> ReplayedAnswer:
    try:
        return ReplayedAnswer.model_validate_json(line)
    except ValidationError:
        raise RackwrightError("is no answer of a replay", where=where, should="restore it from a copy") from None
