"""What a restore of one host would do: from which snapshot, what it replaces, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rackwright.errors import HostError
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.backup.contents import MOST_COUNTED, entries
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.items import CONTROL_HOST, FLEET, ITEMS, Combined, Item
from rackwright.lifecycle.restore.key_copies import MergedKeys
from rackwright.lifecycle.restore.weights import Weights
from rackwright.remote import Connection
from rackwright.remote.answers import read_answer
from rackwright.report.words import counted
from rackwright.state.shell import FOLDER, command

LEAST_LISTED = 64 * 2**20
_LATEST = 2**37
"""Seconds; datetime knows no time much later."""
_NAMES = {item.name for item in ITEMS}
_EARLIEST = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Stored:
    """One file of a host's state."""

    bytes: int
    modified: datetime


Files = Mapping[str, Stored]
"""By path below /var/lib/rackwright."""


@dataclass(frozen=True)
class Part:
    """What happens to one part of a host's state."""

    item: Item
    restored: int
    """Files that the snapshot has."""
    missing: int
    """Those of them that the host lacks."""
    changed: int
    """Those of them that the host has changed since the snapshot was made."""
    only_here: int
    """Files that only the host has."""
    bytes: int
    bytes_here: int = 0
    """Of the host's own files."""

    @property
    def space(self) -> int:
        """Bytes that the host needs: for the restored files, and for the next state if it is combined from copies."""
        copied = self.item.combined in (Combined.FILES, Combined.WHOLE)
        return 2 * self.bytes + self.bytes_here if copied else self.bytes

    def __str__(self) -> str:
        if self.item in (FLEET, CONTROL_HOST):
            return "restored" if self.missing == self.restored else "the newer one stays"
        if self.item.combined is Combined.HISTORY:
            return "merged; nothing on the host is removed"
        files = counted(self.restored, "file")
        if self.item.combined is Combined.MISSING:
            return f"{files}: {self.missing} missing here"
        parts = [f"{self.missing} missing here" if self.missing else ""]
        parts.append(f"{self.changed} changed here since and replaced" if self.changed else "")
        parts.append(f"{self.only_here} only here and kept" if self.only_here else "")
        said = ", ".join(part for part in parts if part)
        return f"{files}: {said}" if said else files


@dataclass(frozen=True)
class HostPlan:
    """What a restore of one host would do."""

    host: str
    chosen: Chosen
    parts: tuple[Part, ...]
    weights: tuple[Weights, ...]
    serving: tuple[str, ...]
    """Units through which clients are served now."""
    new_machine: bool = False
    """Whether the host lacks the units of backups: rackwright hasn't set it up."""
    files: Files = field(default_factory=dict)
    """Of the snapshot's state: exactly these must arrive."""

    @property
    def space(self) -> int:
        """How many bytes restoring the state needs, without weights."""
        return sum(part.space for part in self.parts)

    @property
    def empty(self) -> bool:
        return not self.parts and not self.weights


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do."""

    hosts: tuple[HostPlan, ...]
    keys: MergedKeys | None
    """None: keys aren't asked for, or no host that has any is restored."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Hosts for which there is no snapshot, and why."""

    @property
    def empty(self) -> bool:
        return all(plan.empty for plan in self.hosts) and not (self.keys and self.keys.news)


def present_files(shell: Connection, items: Iterable[Item]) -> Files:
    """Return the files of these items on the host. Raise HostError if it can't be asked."""
    return files_of(shell, FOLDER, items)


def files_of(shell: Connection, folder: str, items: Iterable[Item]) -> Files:
    """Return the files of these items in a folder of the host. Raise HostError if it can't be asked."""
    asking = f"looking at the files in {folder}"
    words = (folder, *(item.name for item in items))
    said = shell.run(command(scripts.PRESENT, *words), timeout=600, limit=LEAST_LISTED).check(asking)
    return read_answer(shell.name, asking, parse_present, said.stdout)


def parse_present(output: str) -> Files:
    """Parse what the script prints: for each file its bytes, its time of modification and its path."""
    found = {}
    # Not splitlines(): it also splits at characters that names may contain.
    for line in output.removesuffix("\n").split("\n") if output else ():
        size, modified, path = line.split(" ", 2)
        found[path] = Stored(int(size), datetime.fromtimestamp(min(max(float(modified), 0), _LATEST), UTC))
    return found


def snapshot_files(chosen: Chosen) -> Files:
    """Return the files of the parts that a restore brings back. Raise HostError if it can't be read."""
    found = {}
    for count, one in enumerate(entries(chosen, FOLDER, recursive=True)):
        if count > MOST_COUNTED:
            raise HostError(f"{FOLDER} has more than {MOST_COUNTED} entries", where=chosen.reader.repository)
        name = one.path.removeprefix(f"{FOLDER}/")
        if one.type == "file" and name.partition("/")[0] in _NAMES:
            # A file can have a time that no calendar has.
            found[name] = Stored(one.size, one.mtime or _EARLIEST)
    return found


def parts_of(restored: Files, present: Files, made: datetime) -> tuple[Part, ...]:
    """Given the snapshot's files, the host's, and when the snapshot was made, return what happens to each part."""
    parts = (_part(item, _of(item, restored), _of(item, present), made) for item in ITEMS)
    return tuple(part for part in parts if part.restored)


def _part(item: Item, restored: Files, present: Files, made: datetime) -> Part:
    return Part(
        item,
        restored=len(restored),
        missing=sum(name not in present for name in restored),
        changed=sum(name in present and present[name].modified > made for name in restored),
        only_here=sum(name not in restored for name in present),
        bytes=sum(file.bytes for file in restored.values()),
        bytes_here=sum(file.bytes for file in present.values()),
    )


def _of(item: Item, files: Files) -> Files:
    below = f"{item.name}/"
    return {name: file for name, file in files.items() if name == item.name or name.startswith(below)}
