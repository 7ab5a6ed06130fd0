"""What a snapshot contains: its entries below a path, and sums by folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from posixpath import basename, dirname, normpath
from typing import Annotated

from pydantic import AwareDatetime, Field, ValidationError

from rackwright.errors import HostError, RackwrightError, UsageError
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.backup.stream import streamed
from rackwright.values.base import Stored

MOST = 10_000
"""Entries that are listed."""
MOST_COUNTED = 1_000_000
"""Entries that are counted. A host that isn't trusted could save any number."""
MOST_FOLDERS = 200
SECONDS = 600
_LIMIT = 2 << 30
_LONGEST_LINE = 1 << 20
_PARENTS = 8
_NEAR = 20


class Entry(Stored):
    """A file, folder, link or other entry, as restic lists it."""

    path: Annotated[str, Field(max_length=8192)]
    type: Annotated[str, Field(max_length=20)]
    """file, dir, symlink, dev, chardev, fifo or socket."""
    size: Annotated[int, Field(ge=0, lt=2**63)] = 0
    mtime: AwareDatetime | None = None
    permissions: Annotated[str, Field(max_length=20)] = ""


@dataclass(frozen=True)
class Contents:
    """Entries of a snapshot."""

    entries: tuple[Entry, ...]
    cut: bool
    """Whether there are more."""


@dataclass(frozen=True)
class Folder:
    """A folder that was saved, or one directly in it, with all that is below it."""

    path: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    folders: tuple[Folder, ...]
    cut: bool
    """Whether the snapshot has more than could be counted or listed."""


class NotInSnapshot(RackwrightError):
    """The snapshot has no such path."""


def clean(path: str) -> str:
    """Return the path in its shortest form. Raise UsageError if it isn't absolute."""
    if not path.startswith("/") or "\0" in path:
        raise UsageError("isn't an absolute path", where=path, should="should be like /var/lib/rackwright")
    return "/" + normpath(path).lstrip("/")


def contents(chosen: Chosen, path: str, most: int = MOST) -> Contents:
    """Return the entry at a path, and all entries below it if it is a folder.

    Raise NotInSnapshot if there is none, HostError if the snapshot can't be read.
    """
    found = tuple(islice(entries(chosen, path, recursive=True), most + 1))
    if not found:
        raise _missing(chosen, path)
    return Contents(found[:most], len(found) > most)


def entry_at(chosen: Chosen, path: str) -> Entry:
    """Return the entry at a path. Raise NotInSnapshot if there is none, HostError if the snapshot can't be read."""
    found = next((one for one in entries(chosen, path, recursive=False) if one.path == path), None)
    if found is None:
        raise _missing(chosen, path)
    return found


def total(chosen: Chosen, path: str) -> tuple[int, int]:
    """Return the number of entries at and below a path, and their bytes. Raise HostError if there are too many."""
    count = size = 0
    for one in entries(chosen, path, recursive=True):
        count, size = count + 1, size + one.size
        if count > MOST_COUNTED:
            raise HostError(f"{path} has more than {MOST_COUNTED} entries", where=chosen.reader.repository)
    return count, size


def summary(chosen: Chosen) -> Summary:
    """Return the saved folders and those directly in them, with what is below.

    Raise HostError if the snapshot can't be read.
    """
    sources = sorted(clean(path) for path in chosen.snapshot.paths if path.startswith("/"))
    sums: dict[str, Folder] = {path: Folder(path, 0, 0) for path in sources}
    counted, left_out = 0, False
    for one in entries(chosen, "/", recursive=True):
        counted += 1
        if counted > MOST_COUNTED:
            break
        for folder in _folders_of(one, sources):
            known = sums.get(folder)
            if known is None and len(sums) >= MOST_FOLDERS:
                left_out = True
                continue
            known = known or Folder(folder, 0, 0)
            sums[folder] = Folder(folder, known.files + (one.type == "file"), known.bytes + one.size)
    return Summary(tuple(sums[path] for path in sorted(sums)), left_out or counted > MOST_COUNTED)


def parse_entry(line: bytes) -> Entry | None:
    """Parse a line of `restic ls --json`; None: it describes the snapshot. Raise ValueError if it is neither."""
    if b'"struct_type":"snapshot"' in line or b'"message_type":"snapshot"' in line:
        return None
    return Entry.model_validate_json(line)


def _folders_of(one: Entry, sources: list[str]) -> Iterator[str]:
    """Yield the saved folder that the entry is in, and the folder directly in that one."""
    for source in sources:
        if one.path.startswith(f"{source}/"):
            yield source
            name, below, _ = one.path.removeprefix(f"{source}/").partition("/")
            if below or one.type == "dir":
                yield f"{source}/{name}"


def entries(chosen: Chosen, path: str, *, recursive: bool) -> Iterator[Entry]:
    words = ["ls", "--json", *(["--recursive"] if recursive and path != "/" else []), chosen.snapshot.id]
    if path != "/" or not recursive:
        words.append(path)
    with streamed(chosen.reader, *words, seconds=SECONDS, limit=_LIMIT) as pieces:
        for line in _lines(chosen, pieces):
            try:
                found = parse_entry(line)
            except ValidationError:
                raise HostError("restic's list of files can't be read", where=chosen.reader.repository) from None
            if found:
                yield found


def _lines(chosen: Chosen, pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise HostError("restic's list of files has a line without end", where=chosen.reader.repository)
        yield from (line for line in lines if line)
    if rest:
        yield rest


def _missing(chosen: Chosen, path: str) -> NotInSnapshot:
    """Return the error that names what is in the nearest folder that the snapshot has."""
    parent, name = dirname(path), basename(path)
    for _ in range(_PARENTS):
        near = list(islice(entries(chosen, parent, recursive=False), MOST))
        if near or parent == "/":
            break
        parent, name = dirname(parent), basename(parent)
    else:
        near, parent = [], "/"
    names = [basename(one.path) for one in near if dirname(one.path) == parent and one.path != "/"]
    close = get_close_matches(name, names, n=3)
    listed = [f"{parent.rstrip('/')}/{one}" for one in (close or sorted(names)[:_NEAR])]
    host = chosen.reader.host
    return NotInSnapshot(
        f"isn't in the snapshot {chosen.snapshot.id[:8]} of {host} at {chosen.reader.repository}",
        where=path,
        should=f"did you mean one of these in {parent}?" if listed else None,
        listed=listed,
        next=f"rackwright backup show {host} {parent if listed else ''}".strip(),
    )
