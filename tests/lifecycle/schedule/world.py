"""A fleet with schedules, and a stand-in for its control hosts: documents in memory, and a clock that a test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.times.occasions import Schedule, schedules_of
from rackwright.lifecycle.schedule.due import Here
from rackwright.state.lease import Lease, Owner
from rackwright.state.schedule import Process, Try
from tests.fleet.test_unattended import WHOLE
from tests.lifecycle.drill.drills import BACKUP, SCRATCH

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SUNDAY = datetime(2026, 12, 6, 2, tzinfo=UTC)
"""When the patch window opens: the first Sunday of December, 02:00."""
END = SUNDAY + 3 * HOUR
DRILL = SUNDAY + 2 * HOUR
TEXT = WHOLE + "patch: {window: sun 02:00-05:00}\n" + BACKUP + SCRATCH + "  at: first sun 04:00\n"
PATCH_ONLY = WHOLE + "patch: {window: sun 02:00-05:00}\n"
WHO = "rw_tool@ctl1 (nightly)"


def fleet(folder: Path, text: str = TEXT) -> Fleet:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


def schedule(folder: Path, name: str = "patch") -> Schedule:
    return next(one for one in schedules_of(fleet(folder)) if one.name == name)


def process(machine: str = "ctl1", boot: str = "b1", pid: int = 7, machine_id: str = "m1") -> Process:
    return Process(machine=machine, machine_id=machine_id, boot=boot, user=990, pid=pid, started=f"{pid}0")


def here(
    machine: str = "ctl1", boot: str = "b1", gone: bool | None = None, pid: int = 9, machine_id: str = "m1"
) -> Here:
    """Return a process that answers `gone` about others on its machine."""
    me = process(machine, boot, pid, machine_id)

    def ask(other: Process) -> bool | None:
        if not other.on_machine_of(me):
            return None
        return True if other.boot != boot else gone

    return Here(me, ask)


def attempt(machine: str = "ctl1", **said: Any) -> Try:
    start = said.get("start", SUNDAY)
    first = {
        "schedule": "patch",
        "start": start,
        "end": start + 3 * HOUR,
        "state": "running",
        "who": WHO,
        "process": process(machine),
        "claimed": start,
        "alive": start,
    }
    return Try(**first | said)


def lease(
    now: datetime, *, machine: str = "ctl1", who: str = WHO, run: str = "r1", seconds: int = 60, **said: Any
) -> Lease:
    owner = Owner(who=who, machine=machine, why="patch run", run=run)
    first = {"since": now, "expires": now + timedelta(seconds=seconds), "now": now}
    return Lease(owner, 1, **{**first, **said}, where="ctl1")


@dataclass
class Memory:
    """A ControlStore in memory, as far as schedules use it."""

    documents: dict[str, str] = field(default_factory=dict)
    lease: Lease | None = None
    broken: list[Lease] = field(default_factory=list)
    silent: int = 0
    """How many further requests fail."""
    writes: int = 0
    fault: Callable[[int, bool], None] = lambda number, written: None
    """Called before and after each write, with its number from 1."""

    def _ask(self) -> None:
        if self.silent:
            self.silent -= 1
            raise HostError("unreachable", where="ctl1")

    def put(self, path: str, content: str, kept: int | None = None) -> None:
        with self._written():
            self.documents[path] = content

    def put_first(self, path: str, content: str) -> str:
        with self._written():
            return self.documents.setdefault(path, content)

    @contextmanager
    def _written(self) -> Iterator[None]:
        self._ask()
        self.writes += 1
        number = self.writes
        self.fault(number, False)
        yield
        self.fault(number, True)

    def read(self, path: str) -> str | None:
        self._ask()
        return self.documents.get(path)

    def read_all(self, folder: str) -> Mapping[str, str]:
        self._ask()
        found = {path.rpartition("/"): text for path, text in self.documents.items()}
        return {name: text for (where, _, name), text in sorted(found.items()) if where == folder}

    def place(self, path: str) -> str:
        return path

    def show(self) -> Lease | None:
        return self.lease

    def break_(self, lease: Lease) -> None:
        self.broken.append(lease)
        self.lease = None


@dataclass
class Said:
    """A console that keeps what is said."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Clock:
    now: datetime = SUNDAY

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def store_of(store: Memory) -> Iterator[tuple[Memory, None]]:
    yield store, None
