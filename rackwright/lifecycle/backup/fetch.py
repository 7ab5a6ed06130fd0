"""Write one file of a snapshot, or a folder as a tar archive, to this machine: complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.backup.contents import entry_at, total
from rackwright.lifecycle.backup.stream import streamed
from rackwright.report.words import size

_SLOWEST = 100_000
"""Bytes per second."""
_TAR = 20_000
"""Most bytes that tar adds to an entry: a header, a long name, padding."""
_QUIET = 50_000_000
"""Below this size, progress isn't reported."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    path: str
    kind: str
    """file, or tar: a folder."""
    bytes: int


def refuse_existing(output: Path) -> None:
    """Raise RackwrightError if a file can't be made there, or if there is something already."""
    if output.is_symlink() or output.exists():
        raise RackwrightError("there is something already", where=str(output), should="should be a new file")
    if not output.parent.is_dir():
        raise RackwrightError("no such folder", where=str(output.parent))


def fetch(chosen: Chosen, path: str, output: Path, say: Say) -> Fetched:
    """Write the file at `path` of the snapshot to the new file `output`, readable only by this user.

    A folder is written as a tar archive, so that nobody's links, devices or owners are made on this machine; then
    `output` must end with .tar. Memory use is constant. Raise NotInSnapshot if there is no such path, HostError if it
    can't be read completely, RackwrightError if it is neither file nor folder, or if `output` can't be made. Whatever
    is raised, `output` isn't there.
    """
    entry = entry_at(chosen, path)
    if entry.type == "file":
        kind, expected, most = "file", entry.size, entry.size
    elif entry.type == "dir":
        _refuse_no_tar(path, output)
        count, expected = total(chosen, path)
        kind, most = "tar", expected + (count + 1) * _TAR
    else:
        raise RackwrightError(f"is a {entry.type}, not a file or folder", where=path)
    with _new(output) as stream:
        _refuse_full(output.parent, expected)
        written = _write(chosen, path, stream, kind, expected, most, say)
        if kind == "file" and written != expected:
            what = f"{path}: restic printed {written} bytes, and the snapshot lists {expected}"
            raise HostError(what, where=chosen.reader.repository)
    return Fetched(path, kind, written)


def _write(chosen: Chosen, path: str, stream: BinaryIO, kind: str, expected: int, most: int, say: Say) -> int:
    archive = ["--archive", "tar"] if kind == "tar" else []
    seconds = 600 + most / _SLOWEST
    written = tenth = 0
    with streamed(chosen.reader, "dump", *archive, chosen.snapshot.id, path, seconds=seconds, limit=most) as pieces:
        for piece in pieces:
            stream.write(piece)
            written += len(piece)
            done = min(10, written * 10 // max(1, expected))
            if done > tenth and expected > _QUIET:
                tenth = done
                say(f"{path}: {size(written)} of {size(expected)}")
    return written


@contextmanager
def _new(output: Path) -> Iterator[BinaryIO]:
    """Yield a file that becomes `output` at the end of the block, or disappears if the block raises."""
    refuse_existing(output)
    try:
        number, name = tempfile.mkstemp(prefix=".rackwright-", dir=output.parent)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(output.parent)) from None
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(number)
        _put(temporary, output)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(output)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _put(temporary: Path, output: Path) -> None:
    """Give the file its name. Raise RackwrightError if something got there first."""
    with suppress(OSError):
        # Unlike a rename, this replaces nothing. Some file systems have no hard links.
        os.link(temporary, output)
        return
    refuse_existing(output)
    temporary.rename(output)


def _refuse_no_tar(path: str, output: Path) -> None:
    if output.suffix != ".tar":
        raise RackwrightError(
            "is a folder", where=path, should="a folder is written as a tar archive: --output NAME.tar"
        )


def _refuse_full(folder: Path, expected: int) -> None:
    if expected > (free := shutil.disk_usage(folder).free):
        what = f"has {size(free)} free, and {size(expected)} are needed"
        raise RackwrightError(what, where=str(folder))
