"""The snapshot that was chosen, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rackwright.cli.common.context import Json

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.choose import Chosen


def chosen_document(chosen: Chosen, age: int) -> dict[str, Json]:
    from rackwright.state.formats import stamp

    snapshot = chosen.snapshot
    return {
        "host": chosen.reader.host,
        "repository": chosen.reader.repository,
        "read_on_host": not chosen.reader.here,
        "id": snapshot.id,
        "time": stamp(snapshot.time),
        "age_seconds": age,
        "author": snapshot.author,
        "fleet": chosen.fleet,
        "files": snapshot.files,
        "bytes": snapshot.bytes,
        "doubts": list(chosen.doubts),
        "newer": list(chosen.newer),
        "passed_over": [
            {
                "repository": one.repository,
                "snapshot": one.snapshot,
                "time": stamp(one.time) if one.time else None,
                "why": one.why,
            }
            for one in chosen.passed_over
        ],
    }


def chosen_line(chosen: Chosen, seconds: int) -> str:
    """Return the snapshot in one line, with its age."""
    from rackwright.report.words import counted, size
    from rackwright.roles.backup.state import age
    from rackwright.state.formats import stamp

    one = chosen.snapshot
    sums = "" if one.files is None else f", {counted(one.files, 'file')}, {size(one.bytes or 0)}"
    made = f"{stamp(one.time)} ({age(max(0, seconds))} old) by {one.author}"
    return f"{chosen.reader.host}: {one.id[:8]} of {made}{sums}; {chosen.reader.name}"


def passed_lines(chosen: Chosen) -> Iterator[str]:
    """Yield what the operator should know about the choice."""
    yield from (f"passed over: {one}" for one in chosen.passed_over)
    yield from chosen.newer
    yield from (f"warning: {chosen.snapshot.id[:8]} {doubt}" for doubt in chosen.doubts)
