"""What a host's backups last did, and whether their timers are active, in one command that asks no repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rackwright.operations.facts.systemctl_show import shown_units
from rackwright.roles.backup.settings import STATE, is_old
from rackwright.roles.backup.settings import Repository as RepositorySettings

DAY = 86400
SNAPSHOTS_EVERY, CHECKS_EVERY = DAY, 7 * DAY
SLACK = 3600
"""Seconds by which a clock may be set back without an alarm."""
LATE = 1.5
"""Number of intervals after which an age is an alarm."""
_NUMBER = re.compile("[0-9]{1,15}")
_PROPERTIES = "Id,ActiveState,SubState,UnitFileState,Result"

COMMAND = f"""
command -v restic >/dev/null && restic version | cut -d ' ' -f 1,2
date '+now %s'
for f in {STATE}/*.json; do
  if [ -f "$f" ]; then n=${{f##*/}}; echo "state ${{n%.json}} $(tr -d '\\n' <"$f")"; fi
done
cd /etc/systemd/system || exit 0
set --
for f in rackwright-backup@*.* rackwright-backup-check@*.*; do
  case $f in *@[a-z]*.service | *@[a-z]*.timer) if [ -f "$f" ]; then set -- "$@" "$f"; fi ;; esac
done
if [ $# != 0 ]; then systemctl show -p {_PROPERTIES} -- "$@"; fi
"""
"""For root. Repositories' names begin with a letter; `backup@1` is a replica of a model that is named backup."""


@dataclass(frozen=True)
class FoundRepository:
    """A repository that the host doesn't use: it has an earlier host's snapshots, or it replaced the host's own."""

    id: str
    snapshots: int | None = None
    """How many it has; None: it replaced the host's own, and its snapshots were not counted."""
    newest: str | None = None
    """When the newest one was made, as restic says it; None: not known."""


@dataclass(frozen=True)
class RepositoryState:
    """One repository as its host knows it. Ages are in seconds, by the host's own clock."""

    name: str
    snapshot: str | None = None
    """Id of the last good snapshot."""
    snapshot_age: int | None = None
    """None: there is no good snapshot yet."""
    check_at: str | None = None
    """When the last good check ended, UTC."""
    files: int | None = None
    bytes: int | None = None
    check_age: int | None = None
    known_age: int | None = None
    """Time since the repository was first reached."""
    part: int | None = None
    """The part of the data that the last good check read."""
    id: str | None = None
    """Id of the restic repository that the host uses; None: it uses none yet."""
    found: FoundRepository | None = None
    """Why the last snapshot or check was refused: this repository must be adopted first; None: it was not refused."""
    failures: tuple[str, ...] = ()
    """Why the last snapshot or the last check failed."""
    dead: tuple[str, ...] = ()
    """Timers that should be waiting for their next run but aren't."""
    running: bool = False
    """Whether a snapshot or a check is being made now."""

    @property
    def alarms(self) -> tuple[str, ...]:
        """Everything that an operator should look into now."""
        return tuple(self._alarms())

    def _alarms(self) -> Iterator[str]:
        if self.snapshot_age is None:
            yield "no good snapshot yet"
        elif self.snapshot_age > LATE * SNAPSHOTS_EVERY:
            yield f"the last good snapshot is {age(self.snapshot_age)} old"
        checked = self.known_age if self.check_age is None else self.check_age
        if checked is not None and checked > LATE * CHECKS_EVERY:
            yield f"no good check for {age(checked)}"
        for what, of_last in (("snapshot", self.snapshot_age), ("check", self.check_age)):
            if of_last is not None and of_last < -SLACK:
                yield f"the last good {what} is dated {age(-of_last)} in the future: this host's clock was set back"
        yield from self.failures
        yield from (f"{timer} is dead" for timer in self.dead)


@dataclass(frozen=True)
class BackupState:
    repositories: Mapping[str, RepositoryState]
    """By name: repositories that are installed or have ever run."""
    restic: str | None
    """Version; None: not installed."""

    @property
    def restic_is_old(self) -> bool:
        return self.restic is not None and is_old(self.restic)

    def of(self, repository: RepositorySettings) -> RepositoryState:
        """Return one repository's state; missing timers count as dead."""
        found = self.repositories.get(repository.name)
        timers = tuple(unit for unit in repository.units if unit.endswith(".timer"))
        return found or RepositoryState(repository.name, dead=timers)


def parse(output: str) -> BackupState:
    """Parse COMMAND's output."""
    restic, now, stored, shown = None, 0, {}, []
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "restic":
            restic = rest
        elif kind == "now":
            now = _time(rest)
        elif kind == "state":
            name, _, text = rest.partition(" ")
            stored[name] = _stored(text)
        else:
            shown.append(line)
    units = shown_units(shown)
    names = {*stored, *(unit.partition("@")[2].rpartition(".")[0] for unit in units)}
    return BackupState({name: _state(name, stored.get(name, {}), units, now) for name in sorted(names)}, restic)


def _stored(text: str) -> dict[str, str]:
    """Return the values of a state file. If it can't be read, no good snapshot is known."""
    try:
        document = json.loads(text)
    except ValueError:
        return {"run_failed": "its state file can't be read"}
    if not isinstance(document, dict) or document.get("format") != "backup/1":
        return {"run_failed": "its state file has another format"}
    return {str(key): str(value) for key, value in document.items()}


def _state(name: str, stored: Mapping[str, str], units: Mapping[str, Mapping[str, str]], now: int) -> RepositoryState:
    run, check = f"rackwright-backup@{name}", f"rackwright-backup-check@{name}"
    services = {unit: units.get(f"{unit}.service", {}) for unit in (run, check)}
    return RepositoryState(
        name=name,
        snapshot=stored.get("snapshot"),
        snapshot_age=_age(stored.get("snapshot_at"), now),
        files=_number(stored.get("files")),
        bytes=_number(stored.get("bytes")),
        check_at=stored.get("check_at"),
        check_age=_age(stored.get("check_at"), now),
        known_age=_age(stored.get("since"), now),
        part=_number(stored.get("part")),
        id=stored.get("repository"),
        found=_found(stored),
        failures=tuple(_failures(stored, services[run], services[check])),
        dead=tuple(f"{unit}.timer" for unit in (run, check) if not _lives(units.get(f"{unit}.timer", {}))),
        running=any(service.get("ActiveState") == "activating" for service in services.values()),
    )


def _found(stored: Mapping[str, str]) -> FoundRepository | None:
    if not (found := stored.get("found")):
        return None
    return FoundRepository(found, _number(stored.get("history")), stored.get("newest"))


def _failures(stored: Mapping[str, str], run: Mapping[str, str], check: Mapping[str, str]) -> Iterator[str]:
    for what, key, service in (("snapshot", "run_failed", run), ("check", "check_failed", check)):
        result = service.get("Result", "success")
        if why := stored.get(key):
            yield f"the last {what} failed: {why}"
        elif result != "success" and service.get("ActiveState") != "activating":
            # The script was ended before it could record its failure.
            yield f"the last {what} ended by {result}"


def _lives(timer: Mapping[str, str]) -> bool:
    waits = timer.get("ActiveState") == "active" and timer.get("SubState") in ("waiting", "running")
    return waits and timer.get("UnitFileState") == "enabled"


def ages(snapshot: int | None, check: int | None) -> str:
    """Given the seconds since the last good snapshot and check, or None for none yet, return a description."""
    made = "no snapshot yet" if snapshot is None else f"snapshot {age(snapshot)} old"
    checked = "no check yet" if check is None else f"check {age(check)} old"
    return f"{made}, {checked}"


def age(seconds: int) -> str:
    """Return an age in words: 40 min, 5 h, 12 d."""
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 2 * DAY else f"{seconds // DAY} d"


def _age(moment: str | None, now: int) -> int | None:
    try:
        then = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    if then.tzinfo is None:
        return None
    return now - int(then.timestamp())


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None


def _time(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a time")
    return int(text)
