"""A migration's folder of recorded requests and answers: encrypted files of JSON lines, each with its sha256.

A file has at most CHUNK bytes of text, so reading and writing need the same memory for any number of records. A file
is complete or absent: `files.json` names it after it is on disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from rackwright.errors import Problem, RackwrightError
from rackwright.fleet.yaml_file import replace_file
from rackwright.values.base import Stored
from rackwright.values.secrets import Secret

CHUNK = 16 * 2**20
MOST_LINE = 8 * 2**20
"""The longest line, in bytes."""
MANIFEST = "files.json"
MOST_MANIFEST = 16 * 2**20
_AGE = b"age-encryption.org/v1\n"
"""How each file of age begins."""
_NAME = re.compile(r"([a-z-]{1,30})-([0-9]{6})\.jsonl\.age")


class StoredFile(Stored):
    """One encrypted file."""

    sha256: str
    bytes: int
    lines: int
    origin: str = ""
    """Gateway and file that it came from, if nobody has read it yet; "": it was written here, or read."""


class Manifest(Stored):
    format: Literal["migration-files/1"] = "migration-files/1"
    files: Mapping[str, StoredFile] = {}
    """Name, like requests-000001.jsonl.age → what it contains."""


def is_encrypted(content: bytes) -> bool:
    """Return whether this is a file that age has encrypted, as far as its beginning says."""
    return content.startswith(_AGE)


@dataclass
class Folder:
    """The folder at `path`. Writing needs the public key (`recipient`), reading the private one (`identity`)."""

    path: Path
    recipient: str
    identity: Secret | Callable[[], Secret] | None = field(default=None, repr=False)
    """A function is called when a file is first read: a command may ask for a passphrase."""
    on_refused: Callable[[Problem], None] | None = field(default=None, repr=False)
    """Called once for each file of a gateway that is left out because it can't be read."""
    _refused: set[str] = field(default_factory=set, init=False, repr=False)

    def manifest(self) -> Manifest:
        """Return the folder's list of files; an empty one if there is none yet. Raise RackwrightError if damaged."""
        place = self.path / MANIFEST
        try:
            if place.exists():
                with place.open("rb") as stream:
                    return Manifest.model_validate_json(stream.read(MOST_MANIFEST))
        except OSError as error:
            raise RackwrightError(f"can't be read: {error.strerror}", where=str(place)) from None
        except ValidationError:
            raise RackwrightError(
                "is damaged, or a newer rackwright wrote it", where=str(place), should="restore it from a copy"
            ) from None
        return Manifest()

    def sha256(self) -> str | None:
        """Return the sha256 of the folder's list of files, which has that of each file; None: there is no list."""
        place = self.path / MANIFEST
        try:
            return hashlib.sha256(place.read_bytes()).hexdigest() if place.exists() else None
        except OSError as error:
            raise RackwrightError(f"can't be read: {error.strerror}", where=str(place)) from None

    def problems(self) -> tuple[Problem, ...]:
        """Return each listed file that is missing or changed."""
        return tuple(
            Problem(str(self.path / name), what, "restore it from a copy, or ask again")
            for name, one in self.manifest().files.items()
            if (what := _wrong(self.path / name, one))
        )

    def write(self, kind: str, lines: Iterable[str]) -> tuple[str, ...]:
        """Add the lines in new files of this kind; return the files' names.

        What was written before an exception of `lines` stays. Raise RackwrightError if a file can't be written.
        """
        written: list[str] = []
        self._create()
        for chunk, count in _chunks(lines):
            written.append(self._add(kind, chunk, count))
        return tuple(written)

    def adopt(self, kind: str, content: bytes, lines: int, *, origin: str = "") -> str:
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
        self._create()
        return self._store(kind, content, lines, origin)

    def checked(self, content: bytes) -> bool:
        """Return whether this was found to be JSON lines for the private key; False: that key isn't at hand.

        Raise RackwrightError, with `what` alone, if it isn't that.
        """
        try:
            self._private_key("")
        except RackwrightError:
            return False
        if not self._is_own_key():
            return False
        _json_lines(self._decrypted(content, ""))
        return True

    def read(self, kind: str) -> Iterator[str]:
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

    def of(self, kind: str) -> tuple[tuple[str, StoredFile], ...]:
        """Return this kind's files, oldest first."""
        files = self.manifest().files
        return tuple((name, files[name]) for name in sorted(files) if _kind(name) == kind)

    def remove(self, kind: str) -> int:
        """Remove this kind's files; return how many there were."""
        if not self.of(kind):
            return 0
        with self._locked():
            names = [name for name, _ in self.of(kind)]
            kept = {name: one for name, one in self.manifest().files.items() if name not in names}
            self._list(Manifest(files=kept))
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        return len(names)

    def _create(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (ignored := self.path / ".gitignore").exists():
                # Neither git nor a kit of the fleet's files should have what will be erased.
                replace_file(ignored, b"*\n", mode=0o600)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.path)) from None

    def _add(self, kind: str, chunk: bytes, count: int) -> str:
        import pyrage

        return self._store(kind, pyrage.encrypt(chunk, [pyrage.x25519.Recipient.from_str(self.recipient)]), count)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other commands on this machine from changing the list meanwhile: what they add would be lost."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise RackwrightError(f"can't be opened: {error.strerror}", where=str(self.path)) from None
        try:
            # A blocking call would also stop the greenlet of this process that has the lock.
            while not _taken(descriptor):
                time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)

    def _store(self, kind: str, content: bytes, count: int, origin: str = "") -> str:
        with self._locked():
            return self._stored(kind, content, count, origin)

    def _stored(self, kind: str, content: bytes, count: int, origin: str) -> str:
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
        self._list(Manifest(files={**manifest.files, name: stored}))
        return name

    def _list(self, manifest: Manifest) -> None:
        place = self.path / MANIFEST
        try:
            replace_file(place, (manifest.model_dump_json(indent=1) + "\n").encode(), mode=0o600)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(place)) from None

    def _unchecked(self, name: str, one: StoredFile) -> list[str]:
        content, where = self._whole(name, one), str(self.path / name)
        self._private_key(where)
        try:
            return _json_lines(self._decrypted(content, where))
        except RackwrightError as error:
            # With another key no file can be read, and that must not look like a folder without requests.
            if not self._is_own_key():
                raise
            what = f"came from {one.origin} and {error.problems[0].what}"
        if name not in self._refused and self.on_refused:
            self.on_refused(Problem(where, what, "should be JSON lines encrypted for records.recipient"))
        self._refused.add(name)
        return []

    def _opened(self, name: str, one: StoredFile) -> bytes:
        content, where = self._whole(name, one), str(self.path / name)
        self._private_key(where)
        return self._decrypted(content, where)

    def _whole(self, name: str, one: StoredFile) -> bytes:
        place = self.path / name
        content = _content(place, one)
        if content is None or hashlib.sha256(content).hexdigest() != one.sha256:
            raise RackwrightError(
                "is missing or was changed", where=str(place), should="restore it from a copy, or ask again"
            )
        return content

    def _private_key(self, where: str) -> Secret:
        if self.identity is None:
            raise RackwrightError("needs the private key", where=where, should="records.identity of the plan")
        if not isinstance(self.identity, Secret):
            self.identity = self.identity()
        return self.identity

    def _is_own_key(self) -> bool:
        import pyrage

        try:
            found = pyrage.x25519.Identity.from_str(self._private_key("").reveal().strip())
        except pyrage.IdentityError:
            return False
        return str(found.to_public()) == self.recipient

    def _decrypted(self, content: bytes, where: str) -> bytes:
        import pyrage

        try:
            key = pyrage.x25519.Identity.from_str(self._private_key(where).reveal().strip())
            text: bytes = pyrage.decrypt(content, [key])
        except (pyrage.IdentityError, pyrage.DecryptError):
            raise RackwrightError(
                "can't be decrypted", where=where, should="records.identity should be its private key of age"
            ) from None
        return text


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
