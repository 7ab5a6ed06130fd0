"""Pinned host keys: OpenSSH's known_hosts format (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from rackwright.values.targets import Target


@dataclass(frozen=True)
class HostKey:
    type: str
    """For example ssh-ed25519."""
    data: str
    """Base64."""

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.data)

    @property
    def fingerprint(self) -> str:
        """Return the key's SHA256 fingerprint in the format of ssh-keygen -l."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Pins:
    """The entries of the files for one host."""

    keys: tuple[HostKey, ...] = ()
    ca: bool = False
    """A @cert-authority line names the host."""
    revoked: tuple[HostKey, ...] = ()


@dataclass(frozen=True)
class _Line:
    text: str
    marker: str = ""
    names: tuple[str, ...] = ()
    key: HostKey | None = None


def host_name(target: Target) -> str:
    """Return the name under which a known_hosts file lists the target."""
    return target.address if target.port == 22 else f"[{target.address}]:{target.port}"


def files(target: Target) -> tuple[Path, ...]:
    """Return the files to read for the target: first the fleet's, then the user's."""
    own = (target.known_hosts,) if target.known_hosts else ()
    return (*own, Path("~/.ssh/known_hosts").expanduser())


def lookup(target: Target) -> Pins:
    """Return the target's pinned keys, from the first file that has any for it."""
    found = Pins()
    for path in files(target):
        pins = _pins(_read(path), host_name(target))
        found = Pins(found.keys or pins.keys, found.ca or pins.ca, found.revoked + pins.revoked)
    return Pins(tuple(key for key in found.keys if key not in found.revoked), found.ca, found.revoked)


def pin(known_hosts: Path, target: Target, key: HostKey) -> None:
    """Write the key to the file (atomically, mode 0644) as the target's only key. Other hosts' lines stay."""
    name = host_name(target)
    kept = [text for line in _read(known_hosts) if (text := _without(line, name)) is not None]
    known_hosts.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=known_hosts.parent, prefix=".known_hosts-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(f"{text}\n" for text in (*kept, f"{name} {key.type} {key.data}"))
            os.fchmod(stream.fileno(), 0o644)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(known_hosts)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _read(path: Path) -> tuple[_Line, ...]:
    try:
        return _lines(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ()


# The file is read for each host, and has a line for each host: parsing it every time would be quadratic.
@lru_cache(maxsize=4)
def _lines(text: str) -> tuple[_Line, ...]:
    return tuple(_parse(line) for line in text.splitlines())


def _parse(text: str) -> _Line:
    fields = text.split()
    if not fields or fields[0].startswith("#"):
        return _Line(text)
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3 or not re.fullmatch(r"[A-Za-z0-9+/]+=*", fields[2]):
        return _Line(text)
    return _Line(text, marker, tuple(fields[0].split(",")), HostKey(fields[1], fields[2]))


def _pins(lines: Iterable[_Line], name: str) -> Pins:
    matching = [line for line in lines if line.key and _names(line, name)]

    def keys(marker: str) -> Iterator[HostKey]:
        return (line.key for line in matching if line.key and line.marker == marker)

    return Pins(tuple(keys("")), any(True for _ in keys("@cert-authority")), tuple(keys("@revoked")))


def _names(line: _Line, name: str) -> bool:
    if any(pattern.startswith("!") and _fits(pattern[1:], name) for pattern in line.names):
        return False
    return any(_is(pattern, name) or _fits(pattern, name) for pattern in line.names)


def _is(pattern: str, name: str) -> bool:
    if not pattern.startswith("|1|"):
        return pattern == name
    try:
        salt, digest = (base64.b64decode(part) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)


def _fits(pattern: str, name: str) -> bool:
    """In known_hosts only * and ? are wildcards: brackets are escaped."""
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(name, pattern.replace("[", "[[]"))
    return pattern == name


def _without(line: _Line, name: str) -> str | None:
    """Return the line's text without the name, or None if it lists no other name."""
    if line.marker or not any(_is(listed, name) for listed in line.names):
        return line.text
    rest = [listed for listed in line.names if not _is(listed, name)]
    return " ".join([",".join(rest), *line.text.split()[1:]]) if rest else None
