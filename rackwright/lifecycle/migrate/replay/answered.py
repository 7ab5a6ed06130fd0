"""Which requests of a sample were asked, and what became of them, by the answers in the folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rackwright.lifecycle.migrate.replay.ask_part import Wanted
from rackwright.migrate.asking.outcome import Asks
from rackwright.migrate.asking.way import Way
from rackwright.migrate.file_kind import ANSWERS
from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import lines_in, parsed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer
from rackwright.migrate.score.join import Part, Read


@dataclass
class Answered:
    """Id of a request → whether its answer is usable, for each side."""

    usable: dict[Asked, dict[str, bool]] = field(default_factory=lambda: {asked: {} for asked in ANSWERS})
    asks: dict[Asked, Asks] = field(default_factory=lambda: {asked: Asks() for asked in ANSWERS})

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
        return Wanted(request, frozenset(asked for asked in ANSWERS if asked not in lacking))


def read_answers(folder: Folder, asked: Asked, way: Way) -> Iterator[ReplayedAnswer]:
    """Yield each answer of this end in the folder that still holds. Raise RackwrightError if one can't be read."""
    for _, answer in lines_in(folder, ANSWERS[asked], ReplayedAnswer):
        if way.holds(answer):
            yield answer


def reading(folder: Folder, way: Way) -> Read:
    """Return what reads a kind of lines of the folder, without answers that no longer hold."""

    def read(part: Part) -> Iterator[str]:
        for line in folder.read(part):
            if part == "requests" or way.holds(parsed(line, ReplayedAnswer, part)):
                yield line

    return read
