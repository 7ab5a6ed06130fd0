"""One try at an occasion: what its job gets, how it says that it works, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from rackwright.errors import HostError, Problem, RackwrightError
from rackwright.lifecycle.notify.notice import one_line
from rackwright.lifecycle.notify.notified import Notices
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.own_copy import FleetChanged
from rackwright.state.formats import utc_now
from rackwright.state.lease import LeaseTaken
from rackwright.state.schedule import State, Try, update
from rackwright.state.store import ControlStore

BEAT_SECONDS = 30.0
"""How often a try says that it works."""
LEASE_WAIT = timedelta(minutes=15)
"""How long a try waits for another operator's lease."""
POLL_SECONDS = 15.0
END_WAIT = 2.0
_END_TRIES = 6
"""How often its end is written, some seconds apart: the run may just have rebooted the control host."""


@dataclass(frozen=True)
class Result:
    """How a job ended that raised nothing."""

    summary: str
    hosts: tuple[str, ...] = ()
    """The hosts that it changed."""
    problems: tuple[Problem, ...] = ()
    """Why it counts as failed; empty: it doesn't."""


@dataclass
class Kept:
    """The stored try. Its own thread and the job both change it."""

    store: ControlStore
    one: Try

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def change(self, **fields: object) -> None:
        """Store the try with these fields. Raise HostError if no control host can store it."""
        with self._lock:
            self.one = self.one.model_copy(update={"alive": utc_now(), **fields})
            update(self.store, self.one)

    def ends(self, state: State, summary: str) -> bool:
        """Store how the try ended; return False if no control host could."""
        wait = threading.Event()
        for number in range(_END_TRIES):
            with suppress(HostError):
                self.change(state=state, summary=one_line(summary), ended=utc_now())
                return True
            wait.wait(number * END_WAIT)
        return False


@dataclass(frozen=True)
class Turn:
    """What a job gets."""

    console: Console
    notices: Notices
    kept: Kept
    ours: Mapping[str, frozenset[str]]
    """The runs that the schedule opened, by id, with their hosts: a rollout of another id is an operator's."""
    resumed: bool = False
    """Whether an earlier try at the same occasion was lost."""

    def started(self, hosts: Iterable[str], run: str, what: str = "") -> None:
        """Note that these hosts will be changed by this run, and report it."""
        known = tuple(hosts)
        # First: if this machine is lost, the next one must know the run.
        self.kept.change(run=run, hosts=known)
        self.notices.started(known, run, what)


Job = Callable[[Turn], Result]


@contextmanager
def beating(kept: Kept, every: float = BEAT_SECONDS) -> Iterator[None]:
    """Say all the time during the block that the try works. A control host that doesn't answer is tolerated."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every):
            with suppress(HostError):
                kept.change()

    thread = threading.Thread(target=beat, name="schedule", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def carried_out(turn: Turn, job: Job) -> Result:
    """Carry out the job, and store how it ended. Raise what it raises.

    If another run has the lease, wait for it: for LEASE_WAIT, and not beyond the end of the occasion. If that run has
    changed the applied fleet, the try stays as it is: the next process, with the new fleet, resumes it.
    """
    try:
        result = _patient(turn, job)
    except FleetChanged as error:
        turn.notices.withdraw()
        return Result(_said(error.problems))
    except RackwrightError as error:
        _end(turn, "failed", _said(error.problems))
        raise
    except KeyboardInterrupt:
        _end(turn, "failed", "interrupted")
        raise
    except Exception as error:
        _end(turn, "failed", f"unexpected {type(error).__name__}; this is a bug in rackwright")
        raise
    if result.problems:
        turn.notices.fails(result.problems)
        _end(turn, "failed", _said(result.problems))
    else:
        turn.notices.ends(result.summary, result.hosts)
        _end(turn, "done", result.summary)
    return result


def _patient(turn: Turn, job: Job) -> Result:
    last = min(turn.kept.one.claimed + LEASE_WAIT, turn.kept.one.end)
    wait, waited = threading.Event(), False
    while True:
        try:
            return job(turn)
        except LeaseTaken as error:
            # A run that lost its lease raises another error.
            if utc_now() >= last:
                raise
            if not waited:
                turn.console.say(f"waiting for the lease: {error.problems[0].what}")
            waited = True
        wait.wait(POLL_SECONDS)


def _end(turn: Turn, state: State, summary: str) -> None:
    if not turn.kept.ends(state, summary):
        turn.console.say("no control host could store how this ended; the next run finds that out")


def _said(problems: Sequence[Problem]) -> str:
    first = problems[0]
    return ": ".join(filter(None, (first.where, first.what)))
