"""Choose the snapshot to read: the newest honest one, in the first repository that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from rackwright.errors import HostError, RackwrightError, UsageError
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.reader import Reader
from rackwright.lifecycle.backup.refusal import refusal
from rackwright.lifecycle.backup.snapshot_list import IN_THE_FUTURE, false_date, read_list
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.report.words import counted
from rackwright.roles.backup.state import LATE, SNAPSHOTS_EVERY
from rackwright.state.formats import stamp
from rackwright.state.record import parse_record
from rackwright.state.shell import FOLDER as STATE

USER = "root"
PATHS = ("/etc/rackwright", "/var/lib/rackwright")
"""Each snapshot of a host has these."""
OPEN_SECONDS = 40
"""restic itself would try for 15 minutes to reach a server."""
FUTURE = IN_THE_FUTURE
_TRIES = 3
"""Snapshots of each repository that are tried, if the newer ones can't be read."""
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PassedOver:
    """A repository or a snapshot that wasn't taken."""

    repository: str
    why: str
    snapshot: str | None = None
    """Its ID; None: the whole repository."""
    time: datetime | None = None

    def __str__(self) -> str:
        of = f" of {stamp(self.time)}" if self.time else ""
        return f"{self.repository}: {f'{self.snapshot[:8]}{of}: ' if self.snapshot else ''}{self.why}"


@dataclass(frozen=True)
class Chosen:
    """A snapshot, and how to read it."""

    reader: Reader
    snapshot: Snapshot
    fleet: str | None
    """The fleet whose rackwright set up the host, by the snapshot's record; None: the snapshot doesn't say."""
    doubts: tuple[str, ...] = ()
    """Why the snapshot may not be honest. Only one that was asked for by its ID can have any."""
    passed_over: tuple[PassedOver, ...] = ()
    newer: tuple[str, ...] = ()
    """Repositories that have a clearly newer snapshot that fits as well, in words."""


@dataclass
class _Opened:
    """A repository, and what it has."""

    name: str
    reader: Reader | None = None
    snapshots: tuple[Snapshot, ...] = ()
    """Newest first."""
    passed: list[PassedOver] = field(default_factory=list)
    unreadable: bool = False
    """Whether a snapshot that fits can't be read."""

    def pass_over(self, why: str, snapshot: Snapshot | None = None) -> None:
        of = (snapshot.id, snapshot.time) if snapshot else (None, None)
        self.passed.append(PassedOver(self.name, why, *of))


def choose(
    ways: Sequence[Reader], fleet: str, now: datetime, at: At = NEWEST, *, damaged: Mapping[str, str] | None = None
) -> Chosen:
    """Return the newest honest snapshot that `at` allows, in the first repository that has one and can be read.

    `ways` are a host's repositories, from `readers`. `damaged` are repositories that aren't taken, with the reason:
    there, the caller failed to read what was chosen before. Raise UsageError if nothing fits, HostError if no
    repository can be read.
    """
    groups = [(name, tuple(some)) for name, some in groupby(ways, key=lambda way: way.repository)]
    with ThreadPoolExecutor(max_workers=len(groups)) as pool:
        opened = list(pool.map(lambda group: _opened(group[0], group[1], (damaged or {}).get(group[0])), groups))
    host = ways[0].host
    fitting = {one.name: list(_fitting(one, host, now, at)) for one in opened}
    _refuse_several(at, fitting)
    for rank in range(_TRIES):
        for one in opened:
            if one.reader and rank < len(fitting[one.name]):
                snapshot = fitting[one.name][rank]
                doubts = tuple(_doubts(snapshot, host, now))
                if chosen := _tried(one, one.reader, snapshot, fleet, doubts, named=at.id is not None):
                    return _explained(chosen, opened, fitting)
    raise _nothing(host, at, opened, now)


def fleet_of(reader: Reader, snapshot: str) -> str | None:
    """Return the name of the fleet that the snapshot's record names, None if there is no record or no name in it.

    Raise HostError if the snapshot can't be read.
    """
    answer = reader.run("dump", snapshot, f"{STATE}/record.json", limit=1 << 20)
    if not answer.ok:
        if "not found in snapshot" in answer.stderr:
            return None
        raise HostError(refusal(reader, answer), where=reader.repository)
    try:
        return parse_record(answer.stdout, "record.json").fleet
    except RackwrightError:
        return None


def _opened(name: str, ways: Sequence[Reader], damaged: str | None) -> _Opened:
    """Return the repository, opened in the first way that works."""
    one = _Opened(name)
    if damaged:
        one.pass_over(damaged)
        return one
    for reader in ways:
        try:
            found = _snapshots(one, reader)
        except RackwrightError as error:
            problem = error.problems[0]
            what = problem.what if problem.where in ("", name) else f"{problem.where}: {problem.what}"
            one.pass_over(what)
            continue
        if found is not None:
            one.reader, one.snapshots = reader, found
            break
    return one


def _snapshots(one: _Opened, reader: Reader) -> tuple[Snapshot, ...] | None:
    """Return the repository's snapshots, newest first, or None and note the reason. Raise RackwrightError."""
    answer = reader.run("cat", "config", seconds=OPEN_SECONDS, limit=1 << 20)
    if answer.ok:
        answer = reader.run("snapshots", "--json")
    if not answer.ok:
        one.pass_over(refusal(reader, answer))
        return None
    found = read_list(answer, reader.host)
    one.passed += (PassedOver(one.name, why, id) for id, why in found.unreadable.items())
    return found.snapshots


def _fitting(one: _Opened, host: str, now: datetime, at: At) -> Iterator[Snapshot]:
    """Yield the snapshots that may be taken, newest first, and note why others may not."""
    for snapshot in one.snapshots:
        if at.id:
            if snapshot.id.startswith(at.id) and _ID.fullmatch(snapshot.id):
                yield snapshot
        elif why := next(_doubts(snapshot, host, now), None):
            one.pass_over(why, snapshot)
        elif at.until is None or snapshot.time <= at.until:
            yield snapshot


def _doubts(snapshot: Snapshot, host: str, now: datetime) -> Iterator[str]:
    """Yield why the snapshot may not be what this host's timer made."""
    if not _ID.fullmatch(snapshot.id):
        yield "has an ID that isn't restic's"
    if why := false_date(snapshot, now):
        yield why
    if snapshot.author != f"{USER}@{host}":
        yield f"may be forged: it is by {snapshot.author}, not by {USER}@{host}"
    if "rackwright" not in (snapshot.tags or ()):
        yield "wasn't made by rackwright's timer: it lacks the tag rackwright"
    if missing := [path for path in PATHS if path not in snapshot.paths]:
        yield f"doesn't contain {' and '.join(missing)}"


def _refuse_several(at: At, fitting: Mapping[str, Sequence[Snapshot]]) -> None:
    # An attacker who can write to a repository can make a snapshot whose ID begins like another's.
    ids = sorted({snapshot.id for some in fitting.values() for snapshot in some}) if at.id else []
    if len(ids) > 1:
        raise UsageError(f"{len(ids)} snapshots begin like this", where=f"--at {at.text}", listed=ids[:10])


def _tried(
    one: _Opened, reader: Reader, snapshot: Snapshot, fleet: str, doubts: tuple[str, ...], *, named: bool
) -> Chosen | None:
    """Return the snapshot if it can be read and is this fleet's; else note why. `named`: whatever its fleet."""
    try:
        found = fleet_of(reader, snapshot.id)
    except HostError as error:
        one.pass_over(error.problems[0].what, snapshot)
        one.unreadable = True
        return None
    if found in (None, fleet):
        return Chosen(reader, snapshot, found, doubts)
    foreign = f"is of another fleet: {found}, not {fleet}"
    if named:
        return Chosen(reader, snapshot, found, (*doubts, foreign))
    one.pass_over(foreign, snapshot)
    return None


def _explained(chosen: Chosen, opened: Sequence[_Opened], fitting: Mapping[str, Sequence[Snapshot]]) -> Chosen:
    late = timedelta(seconds=LATE * SNAPSHOTS_EVERY)
    newer = tuple(
        f"{name} has a newer one: {some[0].id[:8]} of {stamp(some[0].time)}"
        for name, some in fitting.items()
        if some and some[0].time > chosen.snapshot.time + late
    )
    for one in opened[: [one.name for one in opened].index(chosen.reader.repository)]:
        if one.reader and not fitting[one.name]:
            one.pass_over("has no snapshot that fits")
    passed = tuple(why for one in opened for why in one.passed)
    return Chosen(chosen.reader, chosen.snapshot, chosen.fleet, chosen.doubts, passed, newer)


def _nothing(host: str, at: At, opened: Sequence[_Opened], now: datetime) -> RackwrightError:
    listed = [str(why) for one in opened for why in one.passed]
    if not any(one.reader for one in opened):
        return HostError("none of its repositories can be read", where=host, listed=listed)
    if any(one.unreadable for one in opened):
        return HostError(f"no snapshot {_words(at)}can be read", where=host, listed=listed)
    for one in (one for one in opened if one.reader):
        honest = [snapshot for snapshot in one.snapshots if not any(_doubts(snapshot, host, now))]
        span = f", from {stamp(honest[-1].time)} to {stamp(honest[0].time)}" if honest else " that can be trusted"
        listed.append(f"{one.name}: {counted(len(honest), 'snapshot')}{span}")
    what = f"has no snapshot {_words(at)}that can be taken"
    return UsageError(what, where=host, listed=listed, next=f"rackwright backup list {host}")


def _words(at: At) -> str:
    if at.id:
        return f"{at.id} "
    return f"from {stamp(at.until)} or before " if at.until else ""
