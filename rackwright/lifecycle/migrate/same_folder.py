"""Whether the folder on this machine is the one that the log knows. Two that differ must not both go on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.fleet.yaml_file import replace_file
from rackwright.migrate.folder import Folder
from rackwright.state.migrations import Entry, Log
from rackwright.values.base import Stored
from rackwright.values.text import Sha256

MARKER = "known.json"
_MOST = 4096


class Known(StrEnum):
    NEW = "new"
    """No entry of the log knows a folder yet."""
    SAME = "same"
    """It has the files of the last entry that knows one."""
    AHEAD = "ahead"
    """Files came or went here since then: a step that isn't noted yet."""
    ABSENT = "absent"
    """This machine has none."""
    OTHER = "other"
    """It is an older copy, or another one."""
    LOST = "lost"
    """The log lacks an entry that this folder knew: a control host was restored from an older snapshot."""


class _Marker(Stored):
    """In the folder: the last entry whose files it had."""

    format: str = "migration-known/1"
    entry: Sha256


def known(folder: Folder, log: Log) -> Known:
    """Return how the folder on this machine compares with the one that the log knows."""
    found, here, marked = last_with_folder(log), folder.sha256(), _marked(folder.path / MARKER)
    if marked and marked not in log.sha256s:
        return Known.LOST
    if found is None:
        return Known.NEW
    if here == found[0].manifest:
        return Known.SAME
    if here is None:
        return Known.ABSENT
    return Known.AHEAD if marked == found[1] else Known.OTHER


def last_with_folder(log: Log) -> tuple[Entry, str] | None:
    """Return the last entry that knows a folder, with its sha256; None: there is none."""
    pairs = zip(reversed(log.entries), reversed(log.sha256s), strict=True)
    return next(((entry, digest) for entry, digest in pairs if entry.manifest), None)


def mark(folder: Folder, log: Log) -> None:
    """Remember in the folder which entry knows its files. Nothing happens if the last one knows others."""
    found = last_with_folder(log)
    if found and folder.sha256() == found[0].manifest and _marked(folder.path / MARKER) != found[1]:
        place = folder.path / MARKER
        try:
            replace_file(place, (_Marker(entry=found[1]).model_dump_json() + "\n").encode(), mode=0o600)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(place)) from None


def refuse_other(folder: Folder, log: Log) -> None:
    """Raise RackwrightError if there is a folder on this machine, and the log knows another one."""
    _refuse(folder, log, {Known.OTHER: "isn't the folder that the log knows, or an older copy"})


def refuse_away(folder: Folder, log: Log) -> None:
    """Raise RackwrightError unless the folder that the log knows is here, whatever its files are like."""
    refuse_other(folder, log)
    _refuse(folder, log, {Known.ABSENT: "isn't on this machine"})


def refuse_absent(folder: Folder, log: Log) -> None:
    """Raise RackwrightError unless the whole folder that the log knows is here, with every problem of its files."""
    refuse_away(folder, log)
    if problems := folder.problems():
        first = problems[0]
        raise RackwrightError(first.what, where=first.where, should=first.should).with_problems(problems)


def where_from(entry: Entry) -> str:
    """Return where the folder that the entry knows can be copied from."""
    said = f"{entry.who} had it on {entry.machine}"
    return f"{said}: copy it from there; the sha256 of its files.json is {entry.manifest}"


def _refuse(folder: Folder, log: Log, refused: Mapping[Known, str]) -> None:
    found, state = last_with_folder(log), known(folder, log)
    if found and state in refused:
        raise RackwrightError(
            refused[state],
            where=str(folder.path),
            should=where_from(found[0]),
            next=f"rackwright migrate status {log.migration}",
        )


def _marked(place: Path) -> str | None:
    """Return the entry that the folder was known to; a marker that can't be read is none."""
    try:
        with place.open("rb") as stream:
            return _Marker.model_validate_json(stream.read(_MOST)).entry
    except (OSError, ValidationError):
        return None
