"""Fetch one object: itself, and each of its pieces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rackwright.lifecycle.migrate.export.jobs import Job
from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.migrate.export.export_line import ObjectLine, Piece, Why
from rackwright.migrate.export.kinds import FILES, PieceOf, digest_of_item, json_line, name_of, path_of, size_of
from rackwright.migrate.export.part_files import NewFiles

MOST_CONTENT = 64 * 2**30
"""Bytes of a content whose list doesn't say its size."""


class Differs(Exception):
    """A content isn't what the list says, or what was exported before; the text says how."""


@dataclass(frozen=True)
class Fetch:
    client: ProviderClient
    job: Job
    files: NewFiles
    earlier: ObjectLine | None
    """What was exported of it before."""
    reuse: bool
    """Whether files of that can be used."""
    accept: bool
    """Whether the operator accepts a content that differs."""
    listed: Callable[[Mapping[str, Any]], None]
    """Called for each object that is listed in a piece."""

    def line(self, item: Mapping[str, Any]) -> ObjectLine:
        """Return the object's line, its files written. Raise Refused, Differs, Halt; then no file of it stays."""
        job = self.job
        try:
            pieces = [self._piece("object", [json_line(item)])]
            for one in job.kind.pieces:
                try:
                    pieces.append(self._fetched(one, item))
                except Refused as refused:
                    if not (one.optional and refused.why == "absent"):
                        raise
        except BaseException:
            self.files.drop()
            raise
        return ObjectLine(
            kind=job.kind.name,
            id=job.id,
            state="exported",
            at=time.time(),
            name=name_of(item),
            listed=digest_of_item(item),
            pieces=tuple(pieces),
        )

    def _fetched(self, one: PieceOf, item: Mapping[str, Any]) -> Piece:
        path = path_of(self.job.kind, self.job.id) + one.path
        if not one.raw:
            return self._piece(one.name, self._lines(path, one))
        size = None if self.accept else size_of(item)
        piece = self.client.content(path, lambda parts: self._piece(one.name, _measured(parts, size)))
        before = self.earlier.piece(one.name) if self.earlier else None
        if self.earlier and before and not self.accept and before.sha256 != piece.sha256:
            when = datetime.fromtimestamp(self.earlier.at, UTC)
            raise Differs(f"its {one.name} isn't that of the export of {when:%Y-%m-%d %H:%M} UTC")
        return piece

    def _piece(self, name: str, content: Iterable[bytes]) -> Piece:
        return self.files.piece(name, content, self.earlier.piece(name) if self.earlier and self.reuse else None)

    def _lines(self, path: str, one: PieceOf) -> Iterator[bytes]:
        query = {} if one.paged else {"limit": None}
        for page in self.client.pages(path, **query):
            for item in page.items:
                self.listed(item)
                yield json_line(item)
        if page.more:
            raise Refused("failed", f"its {one.name} have no end")


def missing(job: Job, refused: Refused) -> ObjectLine:
    """Return the line of an object that the provider doesn't give."""
    known, status = job.item is not None, refused.status
    why: Why = "failed"
    if refused.why == "absent":
        why = "vanished" if known else "absent"
    elif known and status in (400, 403):
        why = "withheld"
    reason = refused.problem
    if why == "vanished":
        reason = f"it was listed, then {reason}"
    purpose = job.item.get("purpose") if job.item else None
    if job.kind.name == FILES and why == "withheld" and isinstance(purpose, str) and purpose.isidentifier():
        reason += f" for the purpose {purpose[:40]}"
    return lacking(job, why, f"{reason} ({job.named})" if job.named else reason)


def lacking(job: Job, why: Why, reason: str) -> ObjectLine:
    return ObjectLine(kind=job.kind.name, id=job.id, state="missing", at=time.time(), why=why, reason=reason)


def _measured(parts: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    done = 0
    for part in parts:
        done += len(part)
        if done > (MOST_CONTENT if size is None else size):
            said = "can be exported" if size is None else f"its list says: {size:,}"
            raise Differs(f"it has more bytes than {said}")
        yield part
    if size is not None and done != size:
        raise Differs(f"it has {done:,} bytes, its list says {size:,}")
