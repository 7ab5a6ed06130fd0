"""What control hosts store about migrations: a log whose entries are chained by hash, and the results of its steps.

Each entry is a document that is never replaced; the first to store a number has it. The result of a step is stored
before its entry, and the head, which says how long the log is, after it. So a note that is killed leaves the old log
or the new one, and an entry that was changed, removed or moved shows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from rackwright.errors import RackwrightError
from rackwright.state.formats import Moment, parse
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name, Sha256

FOLDER = "migrations"
NAME = "[a-z][a-z0-9-]{0,23}"
KEPT = 10
"""How many results of one step are kept; older ones are removed."""
MOST_ENTRIES = 2000
MOST_ENTRY = 2**14
"""Bytes."""
MOST_RESULT = 2**20
"""Bytes of a result; etcd takes hardly more in one document."""
Step = Literal[
    "init",
    "capture",
    "import",
    "erase",
    "assess",
    "replay",
    "golden",
    "score",
    "capacity",
    "cost",
    "export",
    "shadow",
    "cutover",
    "rollback",
    "pause",
    "review",
    "finish",
    "certificate",
    "recheck",
]
"""What is done to a migration; `golden`: a score asks the cloud the golden set; `shadow`: what clients ask at present
is replayed and scored; `rollback` and `pause`: of a cutover."""
Said = Annotated[str, StringConstraints(max_length=1000)]
Model = TypeVar("Model", bound=Stored)


class Entry(Stored):
    """One step."""

    format: str = "migration/1"
    migration: Name
    number: Annotated[int, Field(ge=1, le=999_999)]
    time: Moment
    who: Said
    machine: Said
    step: Name
    """A Step; a later rackwright may know others."""
    what: Said
    """What was done, in one line."""
    plan: Sha256
    """Of the plan as it was then."""
    keys: Mapping[str, str] = {}
    """Key of the plan, like score.margin → a digest of its value then."""
    manifest: Sha256 | None = None
    """Of the folder's list of files; None: the machine had no folder."""
    result: Sha256 | None = None
    previous: Sha256 | None = None
    """Of the entry before; None: this is the first."""

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.migration}.log/{self.number:06}.json"

    def text(self) -> str:
        return self.model_dump_json(indent=1) + "\n"


class Head(Stored):
    """The last entry of a log."""

    format: str = "migration-head/1"
    migration: Name
    number: Annotated[int, Field(ge=1)]
    sha256: Sha256


@dataclass(frozen=True)
class Log:
    """A log that was verified."""

    migration: str
    entries: tuple[Entry, ...] = ()
    """Oldest first."""
    sha256s: tuple[str, ...] = ()
    """Of each entry."""

    @property
    def last(self) -> str | None:
        """The sha256 of the last entry; None: there is none."""
        return self.sha256s[-1] if self.sha256s else None

    def plus(self, entry: Entry) -> Log:
        return Log(self.migration, (*self.entries, entry), (*self.sha256s, digest_of(entry.text())))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def migrations_of(store: ControlStore) -> tuple[str, ...]:
    """Return the names of the migrations that have a log. What can be no name is left out."""
    names = (re.fullmatch(rf"({NAME})\.json", name) for name in store.read_all(f"{FOLDER}/heads"))
    return tuple(found[1] for found in names if found)


def read_log(store: ControlStore, migration: str) -> Log:
    """Return the migration's log; an empty one if there is none.

    Raise RackwrightError, naming the entry, if one is damaged, was changed or removed, or is in another's place.
    """
    folder = f"{FOLDER}/{migration}.log"
    # Before the entries: those that a note adds in between are then no fault.
    head, log = _head_of(store, migration), Log(migration)
    for name, text in store.read_all(folder).items():
        log = _followed(log, name, text, store.place(f"{folder}/{name}"))
    if head:
        _check_head(head, log, store.place(_head_path(migration)))
    return log


def add(store: ControlStore, log: Log, entry: Entry, result: str | None = None) -> Log:
    """Store the result and the entry, which follows the log; return the log with it.

    Another entry with its number may have been stored before: then it stays, and is the log's last. Raise
    RackwrightError, storing nothing, if the log is full, or entry or result is too large.
    """
    text = entry.text()
    _refuse(log, entry, text, result)
    if result is not None:
        store.put(_result_path(entry), result, KEPT)
    stored = store.put_first(entry.path, text)
    added = _followed(log, f"{entry.number:06}.json", stored, store.place(entry.path))
    if stored == text:
        _put_head(store, added)
    return added


def newest_result(log: Log, step: str) -> Entry | None:
    """Return the newest entry of the step that has a result, None if there is none."""
    return next((one for one in reversed(log.entries) if one.step == step and one.result), None)


def result_in(store: ControlStore, entry: Entry, kind: type[Model]) -> Model:
    """Return the result that the entry names. Raise RackwrightError if it is missing or was changed."""
    path = _result_path(entry)
    text, where = store.read(path), store.place(path)
    if text is None:
        raise _broken(where, f"the result of entry {entry.number} is missing")
    if digest_of(text) != entry.result:
        raise _broken(where, f"the result of entry {entry.number} was changed")
    return parse(kind, str(kind.model_fields["format"].default).partition("/")[0], text, where)


def _followed(log: Log, name: str, text: str, where: str) -> Log:
    """Return the log with the entry that a document contains, if it is the next one."""
    number = len(log.entries) + 1
    if name != f"{number:06}.json":
        raise _broken(where, f"entry {number} is missing")
    if len(text) > MOST_ENTRY:
        raise _broken(where, f"entry {number} is too large")
    entry = parse(Entry, "migration", text, where)
    if (entry.number, entry.migration) != (number, log.migration):
        raise _broken(where, f"entry {number} is in the place of another: {entry.migration} {entry.number}")
    if entry.previous != log.last:
        raise _broken(where, f"entry {number - 1 or 1} was changed: entry {number} follows another")
    return Log(log.migration, (*log.entries, entry), (*log.sha256s, digest_of(text)))


def _check_head(head: Head, log: Log, where: str) -> None:
    """A head that is behind is no fault: a note was killed before it wrote it, or an older one was restored."""
    length = len(log.entries)
    if head.number > length:
        raise _broken(where, f"entry {length + 1} is missing: the log had {head.number}")
    if head.sha256 != log.sha256s[head.number - 1]:
        raise _broken(where, f"entry {head.number} was changed")


def _head_of(store: ControlStore, migration: str) -> Head | None:
    path = _head_path(migration)
    text = store.read(path)
    return parse(Head, "migration-head", text, store.place(path)) if text is not None else None


def _head(log: Log) -> Head:
    return Head(migration=log.migration, number=len(log.entries), sha256=log.sha256s[-1])


def _put_head(store: ControlStore, log: Log) -> None:
    store.put(_head_path(log.migration), _head(log).model_dump_json(indent=1) + "\n")


def _head_path(migration: str) -> str:
    return f"{FOLDER}/heads/{migration}.json"


def _result_path(entry: Entry) -> str:
    # The digest is part of the name: a run that is killed before its entry leaves its result without harm.
    return f"{FOLDER}/{entry.migration}.{entry.step}/{entry.number:06}-{str(entry.result)[:12]}.json"


def _refuse(log: Log, entry: Entry, text: str, result: str | None) -> None:
    if len(log.entries) >= MOST_ENTRIES:
        raise RackwrightError(
            f"the log of {log.migration} is full: it has {len(log.entries)} entries",
            should="go on with a new migration",
            next="rackwright migrate init NAME",
        )
    if len(text.encode()) > MOST_ENTRY:
        raise RackwrightError(f"the entry about {entry.step} is too large", should=f"at most {MOST_ENTRY} bytes")
    if result is not None and (size := len(result.encode())) > MOST_RESULT:
        raise RackwrightError(f"the result of {entry.step} has {size} bytes", should=f"at most {MOST_RESULT}")


def _broken(where: str, what: str) -> RackwrightError:
    return RackwrightError(
        what, where=where, should="nothing goes on from a log that was changed", next="rackwright audit"
    )
