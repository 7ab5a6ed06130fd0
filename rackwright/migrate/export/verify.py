"""Decrypt an export, and compare each content with the sha256 that its list has. Nobody is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from rackwright.errors import Problem, RackwrightError
from rackwright.migrate.export.export_line import ObjectLine, Piece
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.part_files import decrypted
from rackwright.migrate.folder_key import FolderKey

MOST_PROBLEMS = 200


@dataclass
class Verified:
    objects: int = 0
    bytes: int = 0
    failed: int = 0
    problems: tuple[Problem, ...] = ()
    """The first ones."""


def verify(listed: ExportList, key: FolderKey, said: Callable[[Verified], None] = lambda _: None) -> Verified:
    """Return what was compared, and each content that isn't what the list says; earlier ones of an object, too.

    `said` is called after each object. Raise RackwrightError if there is no private key, or if it is another one's.
    """
    key.private(str(listed.path))
    if not key.is_pair():
        raise RackwrightError(
            "isn't the private key of the export's",
            where="records.identity",
            should="should be that of records.recipient",
        )
    found = Verified()
    for _, line in listed.contents():
        for piece in line.pieces:
            if problem := _wrong(listed, key, line, piece):
                found.failed += 1
                if len(found.problems) < MOST_PROBLEMS:
                    found.problems += (problem,)
        found.objects += 1
        found.bytes += line.bytes
        said(found)
    return found


def _wrong(listed: ExportList, key: FolderKey, line: ObjectLine, piece: Piece) -> Problem | None:
    digest, size = hashlib.sha256(), 0
    try:
        for text in decrypted(listed.path, key, piece):
            digest.update(text)
            size += len(text)
    except RackwrightError as error:
        return error.problems[0]
    if (digest.hexdigest(), size) == (piece.sha256, piece.bytes):
        return None
    return Problem(f"{line.kind} {line.id}", f"its {piece.name} isn't what the list says", "restore it from a copy")
