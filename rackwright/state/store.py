"""Storage of lease, journal and documents: an interface, and its implementation in synced files on one host."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from rackwright.errors import RackwrightError
from rackwright.state import scripts
from rackwright.state.contents import Contents, packed, unpacked
from rackwright.state.journal import Entry, parse_journal
from rackwright.state.lease import SECONDS, Lease, Owner, damaged, leased, lost, parse_lease
from rackwright.state.shell import FOLDER, Shell, call, command

_SECONDS = re.compile("[0-9]{1,11}")
KEPT = 10
"""How many documents of one kind are kept; older ones are removed."""
_END = "\x1e"
"""RECORD SEPARATOR: never occurs in JSON text (RFC 7464)."""


class ControlStore(Protocol):
    """Lease, journal and documents of a fleet. Each method raises HostError if no control host can answer.

    Documents are JSON. Those that need no lease have a path, like `bench/assistant/RUN.json`.
    """

    def acquire(self, owner: Owner) -> Lease:
        """Take the lease for one minute. Its `previous` is an expired lease that it replaced. Raise LeasedError if
        there is a live one."""

    def renew(self, lease: Lease, seconds: int | None = None) -> Lease:
        """Renew the lease for a minute, or for `seconds`, from now. Raise LeasedError if it has ended."""

    def release(self, lease: Lease) -> None:
        """Remove the lease if it is still this one."""

    def show(self) -> Lease | None:
        """Return the present lease, live or expired, or None. Change nothing."""

    def break_(self, lease: Lease) -> None:
        """Remove the lease, live or not; its run can't write any more. Raise LeasedError if there is a new one."""

    def append(self, lease: Lease, entry: Entry) -> None:
        """Append the entry on disk. Raise LeasedError, writing nothing, if the lease has ended."""

    def entries(self) -> tuple[Entry, ...]:
        """Return the whole journal, oldest first. Change nothing."""

    def keep(self, lease: Lease, name: str, content: str) -> None:
        """Store the content on disk under this name (KIND-TIME.json); only the last few of a kind are kept.

        Raise LeasedError, writing nothing, if the lease has ended.
        """

    def kept(self, name: str) -> str | None:
        """Return the content under this name, None if there is none. Change nothing."""

    def put(self, path: str, content: str, kept: int | None = None) -> None:
        """Store the document on disk in place of an earlier one. With `kept`, only so many of its folder stay, the
        last ones by name; the new one always stays."""

    def put_first(self, path: str, content: str) -> str:
        """Store the document on disk unless there is one; return what is stored afterwards."""

    def read(self, path: str) -> str | None:
        """Return the document, None if there is none. Change nothing."""

    def read_all(self, folder: str) -> Mapping[str, str]:
        """Return the folder's documents by file name, in the order of their names. Change nothing."""

    def place(self, path: str) -> str:
        """Return where the document is, for people."""

    def dump(self, *, quorum: bool = True) -> Contents:
        """Return everything but the lease. Without `quorum`, a store on several hosts returns what the one that knows
        most has, even if it isn't all. Change nothing."""

    def load(self, lease: Lease, contents: Contents) -> None:
        """Store these contents: this journal instead of the present one, and all documents. A document that is never
        replaced stays. Empty contents change nothing. Can be repeated after a crash at any point.

        Raise LeasedError if the lease has ended.
        """


@dataclass(frozen=True)
class FileStore:
    """A ControlStore in files of one control host; its clock alone decides what has expired."""

    shell: Shell
    folder: str = f"{FOLDER}/control"
    seconds: int = SECONDS

    def acquire(self, owner: Owner) -> Lease:
        verdict, now, lines = self._ask(
            scripts.ACQUIRE, self.seconds, stdin=owner.model_dump_json() + "\n", what="taking the lease"
        )
        lease = self._lease(lines, now)
        if verdict == "leased":
            raise leased(lease)
        return replace(lease, previous=parse_lease(lines[2:], now, self.shell.name))

    def renew(self, lease: Lease, seconds: int | None = None) -> Lease:
        verdict, now, lines = self._ask(
            scripts.RENEW, lease.token, seconds or self.seconds, what="renewing the lease"
        )
        if verdict == "lost":
            raise lost(parse_lease(lines, now, self.shell.name), self.shell.name)
        return replace(self._lease(lines, now), previous=lease.previous)

    def release(self, lease: Lease) -> None:
        self._ask(scripts.REMOVE, lease.token, what="releasing the lease")

    def show(self) -> Lease | None:
        output = call(self.shell, scripts.SHOW, self.folder, what="reading the lease")
        if not output:
            return None
        _, now, lines = self._parsed(output)
        return self._lease(lines, now)

    def break_(self, lease: Lease) -> None:
        verdict, now, lines = self._ask(scripts.REMOVE, lease.token, what="breaking the lease")
        if verdict == "lost" and (other := parse_lease(lines, now, self.shell.name)):
            raise leased(other)

    def append(self, lease: Lease, entry: Entry) -> None:
        verdict, now, lines = self._ask(scripts.APPEND, lease.token, stdin=entry.line(), what="writing the journal")
        if verdict == "lost":
            raise lost(parse_lease(lines, now, self.shell.name), self.shell.name)

    def entries(self) -> tuple[Entry, ...]:
        text = call(self.shell, scripts.READ, self.folder, what="reading the journal")
        return parse_journal(text, self.shell.name)

    def keep(self, lease: Lease, name: str, content: str) -> None:
        verdict, now, lines = self._ask(scripts.KEEP, lease.token, name, KEPT, stdin=content, what=f"storing {name}")
        if verdict == "lost":
            raise lost(parse_lease(lines, now, self.shell.name), self.shell.name)

    def kept(self, name: str) -> str | None:
        return call(self.shell, scripts.KEPT, self.folder, name, what=f"reading {name}") or None

    def put(self, path: str, content: str, kept: int | None = None) -> None:
        call(self.shell, scripts.PUT, *self._words(path), kept or "", stdin=content, what=f"storing {path}")

    def put_first(self, path: str, content: str) -> str:
        return call(self.shell, scripts.PUT_FIRST, *self._words(path), stdin=content, what=f"storing {path}")

    def read(self, path: str) -> str | None:
        answer = call(self.shell, scripts.READ_DOCUMENT, *self._words(path), what=f"reading {path}")
        return answer.partition("\n")[2] if answer else None

    def read_all(self, folder: str) -> Mapping[str, str]:
        text = call(self.shell, scripts.READ_FOLDER, self._documents, folder, what=f"reading {folder}")
        return {name: content for name, _, content in (one.partition("\n") for one in text.split(_END)[:-1])}

    def place(self, path: str) -> str:
        return f"{self._documents}/{path} on {self.shell.name}"

    def dump(self, *, quorum: bool = True) -> Contents:
        folder, control = posixpath.split(self.folder)
        done = self.shell.run(command(scripts.DUMP, folder, control)).check("reading the control host's state")
        return unpacked(done.stdout_bytes, control, self.shell.name)

    def load(self, lease: Lease, contents: Contents) -> None:
        if contents == Contents():
            return
        words, what = (self.folder, lease.token, contents.token), "storing the control host's state"
        verdict, now, lines = self._parsed(call(self.shell, scripts.LOAD, *words, stdin=packed(contents), what=what))
        if verdict == "lost":
            raise lost(parse_lease(lines, now, self.shell.name), self.shell.name)

    @property
    def _documents(self) -> str:
        return posixpath.dirname(self.folder)

    def _words(self, path: str) -> tuple[str, str, str]:
        return (self._documents, *posixpath.split(path))

    def _ask(
        self, script: str, *arguments: object, stdin: str | None = None, what: str
    ) -> tuple[str, int, list[str]]:
        return self._parsed(call(self.shell, script, self.folder, *arguments, stdin=stdin, what=what))

    def _parsed(self, output: str) -> tuple[str, int, list[str]]:
        # Not splitlines(): it also splits at characters that an owner's JSON may contain.
        first, *lines = output.removesuffix("\n").split("\n")
        verdict, _, now = first.partition(" ")
        if not _SECONDS.fullmatch(now):
            raise RackwrightError(f"unexpected answer about the lease: {first}", where=self.shell.name)
        return verdict, int(now), lines

    def _lease(self, lines: list[str], now: int) -> Lease:
        lease = parse_lease(lines, now, self.shell.name)
        if lease is None:
            raise damaged(self.shell.name)
        return lease
