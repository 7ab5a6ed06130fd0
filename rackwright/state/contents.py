"""What a ControlStore holds, apart from the lease: to move it to another one."""

from __future__ import annotations

import io
import re
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rackwright.errors import HostError, RackwrightError
from rackwright.state.journal import whole_lines

FIRST_STAYS = "golden/"
"""Paths that begin so belong to documents that are never replaced."""
MOST_BYTES = 2**29
_NAME = r"[^/.\x00-\x1f][^/\x00-\x1f]*"
_KEPT = re.compile(rf"{_NAME}\.json")
_DOCUMENT = re.compile(rf"(?!control/|journal/)(?:{_NAME}/)+{_NAME}\.json")
_TOKEN = re.compile(r"[0-9]{1,11}\n?")


@dataclass(frozen=True)
class Contents:
    """Raises RackwrightError if a path leads elsewhere: a control host that is broken into may send any."""

    journal: tuple[str, ...] = ()
    """Lines without their ends, oldest first."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Documents that were stored under the lease, by name."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Other documents, by path."""
    token: int = 0
    """The last lease's token, or a greater number."""

    def __post_init__(self) -> None:
        for pattern, paths in ((_KEPT, self.kept), (_DOCUMENT, self.documents)):
            for path in paths:
                if not pattern.fullmatch(path):
                    raise RackwrightError(f"unexpected document among what a control host keeps: {path}")


def packed(contents: Contents) -> bytes:
    """Return an archive with `journal`, `control/NAME`, and the documents by path below `first` or `rest`."""
    files = {f"control/{name}": content for name, content in contents.kept.items()}
    if contents.journal:
        files["journal"] = "".join(f"{line}\n" for line in contents.journal)
    for path, text in contents.documents.items():
        files[f"{'first' if path.startswith(FIRST_STAYS) else 'rest'}/{path}"] = text
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz", compresslevel=1) as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int(time.time())
            entry.mode = 0o644 if name.startswith(("first/", "rest/")) else 0o600
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def unpacked(archive: bytes, control: str, where: str) -> Contents:
    """Given what a host sent, and the name of its folder for the lease, return the contents.

    Raise HostError if it isn't an archive of files, or too large.
    """
    found = dict(_files(archive, where))
    control = f"{control}/"
    journal, token = (found.pop(f"{control}{name}", "") for name in ("journal", "token"))
    kept = {name.removeprefix(control): text for name, text in found.items() if name.startswith(control)}
    documents = {name: text for name, text in found.items() if not name.startswith(control)}
    number = int(token) if _TOKEN.fullmatch(token) else 0
    return Contents(whole_lines(journal), kept, documents, number)


def _files(archive: bytes, where: str) -> Iterator[tuple[str, str]]:
    if not archive:
        return
    try:
        plain = zlib.decompressobj(wbits=31).decompress(archive, MOST_BYTES)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as opened:
            for entry in opened:
                if entry.isdir():
                    continue
                content = opened.extractfile(entry) if entry.isfile() else None
                if content is None:
                    raise HostError("it sent something other than files", where=where)
                yield entry.name, content.read().decode(errors="replace")
    except (tarfile.TarError, zlib.error) as error:
        raise HostError(f"it sent no readable archive: {error}", where=where) from None
