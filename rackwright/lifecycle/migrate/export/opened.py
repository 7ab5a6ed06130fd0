"""The export on this machine: whether it is the one that the log knows, and whether its files are whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.export.part_files import number_of, remove_strays, wrong_part
from rackwright.migrate.folder import Folder, create_private
from rackwright.migrate.folder_list import locked


def export_path(folder: Folder) -> Path:
    """Return where the export is: in the migration's folder, but no part of its records."""
    return folder.path / "export"


@contextmanager
def opened(place: Place, *, other: bool) -> Iterator[ExportList]:
    """Yield the list of the export, which no other command on this machine changes meanwhile.

    `other`: it needn't be the one that the log knows. Raise LeasedError if another export is running, RackwrightError
    if it is damaged, or isn't the one that the log knows.
    """
    path = export_path(place.folder)
    create_private(place.folder.path)
    create_private(path)
    with locked(path, busy="another command is at work on this export"):
        exports = ExportList(path).load()
        if not other:
            _refuse_other(place, exports)
        yield exports


def checked(place: Place, exports: ExportList) -> tuple[Iterator[int], int]:
    """Return the numbers of new objects' files, and how many files are missing or were changed.

    Needs no private key. The objects of such files count as not exported; files that no line names are removed.
    """
    named: set[int] = set()
    damaged = 0
    for start, line in exports.contents():
        for part in (part for piece in line.pieces for part in piece.parts):
            named.add(number_of(part))
            if wrong := wrong_part(exports.path, part):
                newest = exports.mark_damaged(start)
                then = "is fetched again" if newest else "has a later content; restore the file from a copy"
                place.console.say(f"{exports.path / part.file} {wrong}: {line.kind} {line.id} {then}")
                damaged += 1
    return itertools.count(remove_strays(exports.path, named) + 1), damaged


def _refuse_other(place: Place, exports: ExportList) -> None:
    known = place.result("export", Exported)
    if known is None or exports.sha256(known.list_bytes) == known.list_sha256:
        return
    entry = next(one for one in reversed(place.entries()) if one.step == "export" and one.result)
    what = "isn't the export that the log knows, or is an older copy" if exports.length else "isn't on this machine"
    raise RackwrightError(
        what,
        where=str(exports.path),
        should=f"{entry.who} had it on {entry.machine}: copy it from there",
        next=f"without a copy, rackwright migrate export {place.plan.migration} --other",
    )
