"""Ask a part of a replay's sample: the cloud, the cloud again, and the fleet, each by several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from rackwright.lifecycle.migrate.replay.lane import Lane, Stop
from rackwright.migrate.asking.budget import Budget
from rackwright.migrate.asking.parse_answer import parse_answer
from rackwright.migrate.asking.price_of import cost, most
from rackwright.migrate.asking.request_body import cloud_body, fleet_body
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.asking.way import Way
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer

_OVER = Stopped(kind="budget")


@dataclass(frozen=True)
class Wanted:
    """A request, and who answered it before."""

    request: RecordedRequest
    known: frozenset[Asked] = frozenset()


@dataclass
class Part:
    """Asks each request of a part for what isn't known yet, and keeps the answers."""

    plan: Plan
    cloud: Lane
    fleet: Lane
    budget: Budget
    names: Mapping[str, str]
    """The provider's model → the name of the fleet's model at the gateways."""
    way: Way
    heard: Callable[[ReplayedAnswer], None]
    answers: list[ReplayedAnswer] = field(default_factory=list)
    stopped: Stopped | None = None
    """Why not everything was asked; `budget` is that of the part. None: everything was."""
    _over: bool = False
    _failures: list[BaseException] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, wanted: Sequence[Wanted]) -> None:
        """Ask, and return when nothing is in flight any more.

        The fleet and the second time are asked only for what the cloud answers: other answers would have no pair.
        """
        ready: SimpleQueue[Wanted | None] = SimpleQueue()
        again = [one for one in wanted if "cloud" in one.known and "again" not in one.known]
        first = [one for one in wanted if "cloud" not in one.known]
        for one in wanted:
            if "cloud" in one.known and "fleet" not in one.known:
                ready.put(one)

        def answered(one: Wanted) -> None:
            # Later than the first time, so that the provider's caches have less of it.
            again.append(one)
            ready.put(one)

        fleet = self._threads(ready, self._ask_fleet)
        try:
            self._each(first, lambda one: self._ask_cloud(one, "cloud", answered))
            self._each(again, lambda one: self._ask_cloud(one, "again", lambda _: None))
        finally:
            for _ in fleet:
                ready.put(None)
        join(fleet)
        if self._failures:
            raise self._failures[0]

    def _each(self, wanted: Iterable[Wanted], work: Callable[[Wanted], None]) -> None:
        jobs: SimpleQueue[Wanted | None] = SimpleQueue()
        for one in wanted:
            jobs.put(one)
        for _ in range(self.plan.replay.concurrency):
            jobs.put(None)
        join(self._threads(jobs, work))

    def _threads(
        self, jobs: SimpleQueue[Wanted | None], work: Callable[[Wanted], None]
    ) -> tuple[threading.Thread, ...]:
        def run() -> None:
            try:
                while (one := jobs.get()) is not None:
                    work(one)
            except Stop as stop:
                self.stopped = self.stopped or stop.stopped
            except BaseException as error:
                self._failures.append(error)
                self._end(Stopped(kind="failed"))

        # A second Ctrl-C ends the command without waiting for answers.
        threads = tuple(threading.Thread(target=run, daemon=True) for _ in range(self.plan.replay.concurrency))
        for thread in threads:
            thread.start()
        return threads

    def _ask_cloud(self, one: Wanted, asked: Asked, answered: Callable[[Wanted], None]) -> None:
        reserved = most(self.plan, one.request)
        # One that doesn't fit ends the part: of those that follow, only the cheap ones would be asked.
        if self._over or not self.budget.take(reserved):
            self._over = True
            raise Stop(_OVER)
        price = 0.0
        try:
            answer, sent = self._answer(self.cloud, one.request, asked, cloud_body(one.request))
            price = cost(self.plan, one.request, answer) if sent else 0.0
        finally:
            self.budget.settle(reserved, price)
        if not answer.error:
            answered(one)

    def _ask_fleet(self, one: Wanted) -> None:
        body = fleet_body(one.request, self.names[one.request.model], self.way)
        try:
            self._answer(self.fleet, one.request, "fleet", body)
        except Stop as stop:
            # Answers of the cloud that nothing is compared with would only cost money.
            self.cloud.end(stop.stopped)
            raise

    def _answer(self, lane: Lane, request: RecordedRequest, asked: Asked, body: bytes) -> tuple[ReplayedAnswer, bool]:
        got = lane.ask(request.path, body)
        answer = parse_answer(
            request,
            asked,
            got.status,
            got.content,
            seconds=got.seconds,
            problem=got.problem,
            by=self.way.by(asked, request.model),
            version=self.way.version(asked, request.model),
        )
        with self._lock:
            self.answers.append(answer)
            self.heard(answer)
        return answer, got.sent

    def _end(self, stopped: Stopped) -> None:
        self.cloud.end(stopped)
        self.fleet.end(stopped)


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait until these threads have ended."""
    for thread in threads:
        while thread.is_alive():
            # With a limit, so that signals are handled meanwhile.
            thread.join(0.5)
