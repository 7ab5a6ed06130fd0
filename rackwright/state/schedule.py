"""What control hosts store about schedules: who ran what, how that ended, and pauses.

Each try at an occasion has a document of its own, which the first to store it may continue. So one of several
machines works, and another one goes on after it is gone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from rackwright.state.formats import Moment, parse
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name

FOLDER = "schedules"
KEPT = 100
"""How many tries of one schedule are kept; older ones are removed."""
State = Literal["running", "done", "failed", "missed", "skipped"]


class Process(Stored):
    """The process of a try, so that the machine that it ran on can tell that it is gone."""

    machine: str
    """Its name."""
    machine_id: str = ""
    """What else tells it from others: they may have the same name. Empty: not known."""
    boot: str
    """Which boot of the machine; empty: not known."""
    user: int
    """Whose it is: others may be hidden."""
    pid: int
    started: str
    """When it started, in the system's own units; empty: not known."""

    def on_machine_of(self, other: Process) -> bool:
        """Return whether both are known to be of one machine: name and ID are the same. A copy may have its ID."""
        same = (self.machine, self.machine_id) == (other.machine, other.machine_id)
        return same and self.machine_id != ""


class Try(Stored):
    """One try at an occasion of a schedule."""

    format: str = "schedule-try/1"
    schedule: Name
    start: Moment
    """When the occasion started."""
    end: Moment
    """Until when a try may start."""
    number: Annotated[int, Field(ge=1, le=99)] = 1
    asked: bool = False
    """Whether a person asked for it outside the schedule's times."""
    state: State
    """missed: nobody started in time; skipped: the schedule was paused."""
    who: str
    """The operator."""
    process: Process
    claimed: Moment
    alive: Moment
    """When it last said that it works."""
    run: str | None = None
    """The id of the run that it opened."""
    hosts: tuple[str, ...] = ()
    """The hosts that this run was about to change."""
    ended: Moment | None = None
    summary: str = ""
    """How it ended, in one line."""
    reported: bool = True
    """False: a receiver should hear of it, and none has yet."""

    @property
    def name(self) -> str:
        return f"{self.start.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self.number:02}.json"


class Pause(Stored):
    """A schedule that doesn't start."""

    format: str = "schedule-pause/1"
    schedule: Name
    since: Moment
    until: Moment
    """Not part of it. At or before `since` if the schedule was resumed at once."""
    who: str

    def has(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


class FirstSeen(Stored):
    """Since when a schedule is known to the control hosts: what would have been due before isn't missed."""

    format: str = "schedule-seen/1"
    schedule: Name
    said: str
    """When it runs. A schedule with other times is another one."""
    since: Moment


def tries_of(store: ControlStore, schedule: str) -> tuple[Try, ...]:
    """Return the tries that are kept, in the order of occasions and numbers.

    Raise RackwrightError if one is damaged or of a newer format, as the following functions do.
    """
    folder = f"{FOLDER}/{schedule}"
    found = store.read_all(folder).items()
    return tuple(parse(Try, "schedule-try", text, store.place(f"{folder}/{name}")) for name, text in found)


def claim(store: ControlStore, wanted: Try) -> bool:
    """Store the try unless another one has its number; return whether it is the one that is stored."""
    path = _path(wanted)
    text = store.put_first(path, wanted.model_dump_json(indent=1) + "\n")
    return parse(Try, "schedule-try", text, store.place(path)) == wanted


def update(store: ControlStore, wanted: Try) -> None:
    """Store what has become of a try that was claimed."""
    store.put(_path(wanted), wanted.model_dump_json(indent=1) + "\n", KEPT)


def pause_of(store: ControlStore, schedule: str) -> Pause | None:
    """Return the schedule's last pause, which may be over; None: there was none."""
    path = f"{FOLDER}/pauses/{schedule}.json"
    text = store.read(path)
    return parse(Pause, "schedule-pause", text, store.place(path)) if text else None


def put_pause(store: ControlStore, pause: Pause) -> None:
    """Store the pause in place of an earlier one."""
    store.put(f"{FOLDER}/pauses/{pause.schedule}.json", pause.model_dump_json(indent=1) + "\n")


def first_seen(store: ControlStore, schedule: str) -> FirstSeen | None:
    """Return since when the schedule is known; None: it isn't."""
    path = f"{FOLDER}/seen/{schedule}.json"
    text = store.read(path)
    return parse(FirstSeen, "schedule-seen", text, store.place(path)) if text else None


def see(store: ControlStore, schedule: str, said: str, now: datetime) -> FirstSeen:
    """Return since when a schedule with these times is known: since now, if it wasn't."""
    found = first_seen(store, schedule)
    if found and found.said == said:
        return found
    seen = FirstSeen(schedule=schedule, said=said, since=now)
    store.put(f"{FOLDER}/seen/{schedule}.json", seen.model_dump_json(indent=1) + "\n")
    return seen


def _path(wanted: Try) -> str:
    return f"{FOLDER}/{wanted.schedule}/{wanted.name}"
