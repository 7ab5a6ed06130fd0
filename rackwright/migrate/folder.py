"""A migration's folder of recorded requests and answers: encrypted files of JSON lines, each with its sha256.

A file has at most CHUNK bytes of text, so reading and writing need the same memory for any number of records. A file
is complete or absent: `files.json` names it after it is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import InitVar, dataclass, field
from pathlib import Path

from rackwright.errors import Problem, RackwrightError
from rackwright.fleet.yaml_file import replace_file
from rackwright.migrate.file_kind import FileKind
from rackwright.migrate.folder_key import FolderKey, is_encrypted
from rackwright.migrate.folder_list import (
    Manifest,
    StoredFile,
    locked,
    manifest_sha256,
    read_manifest,
    write_manifest,
)
from rackwright.values.secrets import Secret

CHUNK = 16 * 2**20
MOST_LINE = 8 * 2**20
"""The longest line, in bytes."""
_DAMAGED = "restore it from a copy, or erase the folder"
_NAME = re.compile(r"([a-z-]{1,30})-([0-9]{6})\.jsonl\.age")


@dataclass
class Folder:
    """The folder at `path`. Writing needs the public key (`recipient`), reading the private one (`identity`)."""

    path: Path
    recipient: str
    identity: InitVar[Secret | Callable[[], Secret] | None] = None
    """A function is called when a file is first read: a command may ask for a passphrase."""
    on_refused: Callable[[Problem], None] | None = field(default=None, repr=False)
    """Called once for each file of a gateway that is left out because it can't be read."""
    _refused: set[str] = field(default_factory=set, init=False, repr=False)
    _key: FolderKey = field(init=False, repr=False)

    def __post_init__(self, identity: Secret | Callable[[], Secret] | None) -> None:
        self._key = FolderKey(self.recipient, identity)

    @property
    def key(self) -> FolderKey:
        return self._key

    def below(self, name: str) -> Folder:
        """Return a folder within this one, with the same keys."""
        return Folder(self.path / name, self.recipient, lambda: self._key.private(""), self.on_refused)

    def manifest(self) -> Manifest:
        """Return the folder's list of files; an empty one if there is none yet. Raise RackwrightError if damaged."""
        return read_manifest(self.path)

    def sha256(self) -> str | None:
        """Return the sha256 of the folder's list of files, which has that of each file; None: there is no list."""
        return manifest_sha256(self.path)

    def problems(self) -> tuple[Problem, ...]:
        """Return each listed file that is missing or changed."""
        return tuple(
            Problem(str(self.path / name), what, _DAMAGED)
            for name, one in self.manifest().files.items()
            if (what := _wrong(self.path / name, one))
        )

    def write(self, kind: FileKind, lines: Iterable[str]) -> tuple[str, ...]:
        """Add the lines in new files of this kind; return the files' names.

        What was written before an exception of `lines` stays. Raise RackwrightError if a file can't be written.
        """
        written: list[str] = []
        create_private(self.path)
        for chunk, count in _chunks(lines):
            written.append(self._add(kind, chunk, count))
        return tuple(written)

    def adopt(self, kind: FileKind, content: bytes, lines: int, *, origin: str = "") -> str:
        """Add a file that was encrypted elsewhere for the same public key; return its name.

        `origin`: where it comes from, if nobody has read it yet. A content that the folder has already isn't added
        again. Raise RackwrightError if the content isn't an encrypted file, or can't be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        for name, one in self.of(kind):
            if one.sha256 == digest:
                return name
        if not is_encrypted(content):
            raise RackwrightError("what was fetched is no file encrypted by age", where=str(self.path))
        create_private(self.path)
        return self._store(kind, content, lines, origin)

    def checked(self, content: bytes) -> bool:
        """Return whether this was found to be JSON lines for the private key; False: that key isn't at hand.

        Raise RackwrightError, with `what` alone, if it isn't that.
        """
        try:
            self._key.private("")
        except RackwrightError:
            return False
        if not self._key.is_pair():
            return False
        _json_lines(self._key.decrypted(content, ""))
        return True

    def read(self, kind: FileKind) -> Iterator[str]:
        """Yield the lines of this kind, in the order in which they were written.

        Raise RackwrightError if a file is missing, was changed, or isn't for this private key. Files that a gateway
        supplied, and that can't be read although the key is the right one, are left out (`on_refused`).
        """
        for name, _ in self.of(kind):
            yield from self.lines(name)

    def lines(self, name: str) -> list[str]:
        """Return the lines of one of the listed files, none of one that is left out. Raise as `read` does."""
        one = self.manifest().files[name]
        if one.origin:
            return self._unchecked(name, one)
        try:
            return self._opened(name, one).decode().split("\n")[:-1]
        except UnicodeDecodeError:
            raise RackwrightError(
                "isn't text", where=str(self.path / name), should="was written by something else; erase it"
            ) from None

    def of(self, kind: FileKind) -> tuple[tuple[str, StoredFile], ...]:
        """Return this kind's files, oldest first."""
        files = self.manifest().files
        return tuple((name, files[name]) for name in sorted(files) if _kind(name) == kind)

    def remove(self, kind: FileKind) -> int:
        """Remove this kind's files; return how many there were."""
        if not self.of(kind):
            return 0
        with locked(self.path):
            names = [name for name, _ in self.of(kind)]
            kept = {name: one for name, one in self.manifest().files.items() if name not in names}
            write_manifest(self.path, Manifest(files=kept))
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        return len(names)

    def _add(self, kind: FileKind, chunk: bytes, count: int) -> str:
        return self._store(kind, self._key.encrypted(chunk), count)

    def _store(self, kind: FileKind, content: bytes, count: int, origin: str = "") -> str:
        with locked(self.path):
            return self._stored(kind, content, count, origin)

    def _stored(self, kind: FileKind, content: bytes, count: int, origin: str) -> str:
        manifest = self.manifest()
        # A file that no list names was left by a run that was killed.
        last = max((_number(name) for name in manifest.files if _kind(name) == kind), default=0)
        name = f"{kind}-{last + 1:06}.jsonl.age"
        try:
            replace_file(self.path / name, content, mode=0o600)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.path / name)) from None
        stored = StoredFile(
            sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), lines=count, origin=origin
        )
        write_manifest(self.path, Manifest(files={**manifest.files, name: stored}))
        return name

    def _unchecked(self, name: str, one: StoredFile) -> list[str]:
        content, where = self._whole(name, one), str(self.path / name)
        self._key.private(where)
        try:
            return _json_lines(self._key.decrypted(content, where))
        except RackwrightError as error:
            # With another key no file can be read, and that must not look like a folder without requests.
            if not self._key.is_pair():
                raise
            what = f"came from {one.origin} and {error.problems[0].what}"
        if name not in self._refused and self.on_refused:
            self.on_refused(Problem(where, what, "should be JSON lines encrypted for records.recipient"))
        self._refused.add(name)
        return []

    def _opened(self, name: str, one: StoredFile) -> bytes:
        content, where = self._whole(name, one), str(self.path / name)
        self._key.private(where)
        return self._key.decrypted(content, where)

    def _whole(self, name: str, one: StoredFile) -> bytes:
        place = self.path / name
        content = _content(place, one)
        if content is None or hashlib.sha256(content).hexdigest() != one.sha256:
            raise RackwrightError("is missing or was changed", where=str(place), should=_DAMAGED)
        return content


def create_private(path: Path) -> None:
    """Ensure that the folder exists, for this user only. Raise RackwrightError if it can't be made."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (ignored := path / ".gitignore").exists():
            # Neither git nor a kit of the fleet's files should have what is in it.
            replace_file(ignored, b"*\n", mode=0o600)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None


def _json_lines(text: bytes) -> list[str]:
    """Return the lines. Raise RackwrightError unless each is JSON."""
    try:
        lines = text.decode().split("\n")
        for line in lines[:-1]:
            json.loads(line)
    except (ValueError, RecursionError):
        raise RackwrightError("isn't lines of JSON") from None
    if lines[-1]:
        raise RackwrightError("isn't lines of JSON")
    return lines[:-1]


def _chunks(lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    parts: list[bytes] = []
    size = 0
    for line in lines:
        part = line.encode() + b"\n"
        if parts and size + len(part) > CHUNK:
            yield b"".join(parts), len(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield b"".join(parts), len(parts)


def _wrong(place: Path, one: StoredFile) -> str | None:
    try:
        content = _content(place, one)
    except RackwrightError:
        return "can't be read"
    if content is None:
        return "is missing"
    return None if hashlib.sha256(content).hexdigest() == one.sha256 else "was changed"


def _content(place: Path, one: StoredFile) -> bytes | None:
    """Return at most one byte more than the file should have; None: there is no such file."""
    if not place.is_file():
        return None
    try:
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            return stream.read(one.bytes + 1)
    except OSError as error:
        raise RackwrightError(f"can't be read: {error.strerror}", where=str(place)) from None


def _kind(name: str) -> str | None:
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    return int(found[2]) if found else 0
