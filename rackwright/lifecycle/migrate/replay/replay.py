"""Ask recorded requests again: the cloud, the cloud a second time, and the fleet. It can be continued anywhere.

The sample is copied once, in the order in which it is asked, and asked in parts. The answers of a part are in the
folder before the note of what it has cost, and that note has the most that the next part may cost. So whatever is
killed, nothing is asked twice except what was in flight, and all replays of a migration together stay within its
budget.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.replay.ask_part import Part, Wanted
from rackwright.lifecycle.migrate.replay.lane import Lane
from rackwright.lifecycle.migrate.replay.prepare import Prepared
from rackwright.migrate.asking.budget import Budget
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.sample import Drawn
from rackwright.migrate.asking.sample_copy import SampleCopy
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.file_kind import ANSWERS
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.side import Side
from rackwright.report.words import duration

IN_FILE = 200
"""The most answers in one file."""
MOST_NOTES = 1000
"""The most parts of a sample: the migration's log takes a limited number of entries."""
SAY_SECONDS = 10.0
Note = Callable[[str, Outcome], None]
"""Keeps what the replay has done so far, with a line for the log."""


@dataclass
class Replay:
    plan: Plan
    folder: Folder
    names: Mapping[str, str]
    """The provider's model → the name of the fleet's model at the gateways."""
    lanes: Mapping[Side, Lane]
    note: Note
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _prepared: Prepared = field(init=False)
    _copy: SampleCopy = field(init=False)
    _spent: float = 0.0
    _asked: int = 0
    _to_ask: int = 0
    _began: float = 0.0
    _said: float = 0.0
    _budget: Budget = field(default_factory=lambda: Budget(0))

    def run(self, prepared: Prepared) -> Outcome:
        """Ask what is pending; return what all replays of the migration have done. Every part is noted.

        Raise RackwrightError if answers can't be written or a note can't be kept. What was asked is noted then, if
        it can be.
        """
        self._prepared, self._spent, self._began = prepared, prepared.spent, self.clock()
        self._copy = SampleCopy(self.folder, prepared.sample.drawn)
        pending = list(prepared.pending)
        self._to_ask = sum(len(prepared.answered.lacks(one.id)) for one in pending)
        self._said = self._began
        stopped: Stopped | None = None
        while pending and not stopped:
            reserve = self._reserve(pending)
            if self._left <= 0 or reserve <= 0:
                stopped = Stopped(kind="budget")
                break
            # Before the note: so what is copied to the folder is noted with it.
            wanted = self._wanted(pending[: self._size()])
            self._note(reserve)
            stopped = self._part(wanted, reserve)
            pending = [one for one in pending if prepared.answered.lacks(one.id)]
        outcome = self._outcome(0.0, stopped)
        self.note(self._line(stopped), outcome)
        return outcome

    @property
    def _left(self) -> float:
        return self.plan.replay.budget - self._spent - self._prepared.otherwise

    def _reserve(self, pending: Sequence[Drawn]) -> float:
        """Return how much of the budget the next part may use; 0 if the next request doesn't fit."""
        part = pending[: self._size()]
        asks = [(one, self._prepared.asks(one)) for one in part]
        worst = max((one.most for one, count in asks if count), default=0.0)
        first = next((one.most for one, count in asks if count), 0.0)
        if first > self._left:
            return 0.0
        wanted = sum(one.usual * count for one, count in asks) + worst * self.plan.replay.concurrency
        return min(self._left, max(wanted, first, 1e-9))

    def _size(self) -> int:
        return max(IN_FILE, math.ceil(len(self._prepared.sample.drawn) / MOST_NOTES))

    def _part(self, wanted: Sequence[Wanted], reserve: float) -> Stopped | None:
        """Ask a part and write its answers. Return why the replay ends, None if it goes on."""
        whole = reserve >= self._left
        self._budget = Budget(reserve)
        part = Part(
            self.plan,
            self.lanes["cloud"],
            self.lanes["fleet"],
            self._budget,
            self.names,
            self._prepared.way,
            self._heard,
        )
        try:
            part.ask(wanted)
        finally:
            # Answers are paid for, whatever became of the others.
            self._keep(wanted, part.answers)
        if part.stopped and part.stopped.kind == "budget" and not whole:
            return None
        return part.stopped

    def _keep(self, wanted: Sequence[Wanted], answers: Sequence[ReplayedAnswer]) -> None:
        """Write a part's answers. If that fails, what was spent is noted."""
        self._spent += self._budget.spent
        self._budget = Budget(0)
        try:
            self._write(wanted, answers)
        except RackwrightError as error:
            stopped = Stopped(kind="folder", detail=error.problems[0].what)
            self.note(self._line(stopped), self._outcome(0.0, stopped))
            raise
        for answer in answers:
            self._prepared.answered.add(answer)

    def _wanted(self, drawn: Sequence[Drawn]) -> list[Wanted]:
        """Return the requests with their bodies, as many as fit into memory, at least one."""
        return [self._prepared.answered.wanted(one) for one in self._copy.requests([one.id for one in drawn])]

    def _write(self, wanted: Sequence[Wanted], answers: Sequence[ReplayedAnswer]) -> None:
        order = {one.request.id: number for number, one in enumerate(wanted)}
        for asked, kind in ANSWERS.items():
            of_end = sorted((one for one in answers if one.asked == asked), key=lambda one: order[one.request])
            lines = (one.model_dump_json() for one in of_end)
            while few := list(islice(lines, IN_FILE)):
                self.folder.write(kind, few)

    def _note(self, reserve: float) -> None:
        self.note(self._line(None), self._outcome(reserve, None))

    def _outcome(self, reserve: float, stopped: Stopped | None) -> Outcome:
        found = outcome_of(self.plan, self._prepared)
        return found.model_copy(update={"spent": self._spent, "reserved": reserve, "stopped": stopped})

    def _line(self, stopped: Stopped | None) -> str:
        return line_of(self.plan, self._prepared, self._spent, stopped)

    def _heard(self, answer: ReplayedAnswer) -> None:
        self._asked += 1
        now = self.clock()
        if now - self._said < SAY_SECONDS and self._asked < self._to_ask:
            return
        self._said = now
        left = (now - self._began) / self._asked * max(0, self._to_ask - self._asked)
        spent = self._spent + self._budget.spent + self._prepared.otherwise
        self.say(
            f"{self._asked} of {self._to_ask} asked, {spent:.2f} of {self.plan.replay.budget:.2f} "
            f"{self.plan.currency} spent, about {duration(left)} left"
        )


def outcome_of(plan: Plan, prepared: Prepared) -> Outcome:
    """Return what replays have done so far."""
    return Outcome(
        recorded=prepared.sample.recorded,
        sample=len(prepared.sample.drawn),
        left_out=prepared.sample.left_out,
        asks=dict(prepared.answered.asks),
        currency=plan.currency,
        spent=prepared.spent,
        ends=prepared.way.ends,
        versions=prepared.way.versions,
    )


def line_of(plan: Plan, prepared: Prepared, spent: float, stopped: Stopped | None = None) -> str:
    """Return the same in one line, for the log. `spent`: by replays."""
    asks = prepared.answered.asks
    counts = ", ".join(f"{asks[asked].all} {asked}" for asked in ANSWERS)
    money = f"{spent + prepared.otherwise:.2f} of {plan.replay.budget:.2f} {plan.currency} spent"
    line = f"{len(prepared.sample.drawn)} requests; asked: {counts}; {money}"
    return f"{line}; stopped: {stopped.line()}" if stopped else line
