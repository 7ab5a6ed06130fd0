"""An export as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rackwright.cli.render.table import table
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.export.verify import Verified
from rackwright.report.words import counted, size

HEAD = ("at the provider", "listed", "new", "changed", "as before", "gone", "not exported", "fetched")
MOST_SHOWN = 20


def export_lines(found: Exported, name: str, path: Path, command: str) -> Iterator[str]:
    """Yield what was exported, and the next command: `command` if the provider has more."""
    yield from table([HEAD, *_rows(found)])
    if found.not_offered:
        yield f"not offered by this provider: {', '.join(found.not_offered)}"
    yield from (f"not listed to the end: {kind}: {why}" for kind, why in found.unlisted.items())
    yield from (f"not exported: {one.kind} {one.id}: {one.reason}" for one in found.missing[:MOST_SHOWN])
    missing = sum(one.missing for one in found.kinds.values())
    if missing > MOST_SHOWN:
        yield f"not exported: {missing - MOST_SHOWN:,} more, in {path / ExportList.FILE}"
    yield ""
    yield f"{counted(found.objects, 'object')} in {path}: {_standing(found)}"
    yield f"next: {f'rackwright migrate export {name} --verify' if found.whole else command}"


def verified_lines(found: Verified, exported: Exported, name: str) -> Iterator[str]:
    yield f"{counted(found.objects, 'object')} decrypted and compared, {size(found.bytes)}: all as exported"
    yield f"the export: {_standing(exported)}"
    if not exported.whole:
        yield f"next: rackwright migrate export {name}"


def _standing(found: Exported) -> str:
    return "whole" if found.whole else "not whole, the provider has more"


def _rows(found: Exported) -> Iterator[tuple[str, ...]]:
    for kind, one in found.kinds.items():
        counts = (one.listed, one.new, one.changed, one.same, one.gone, one.missing)
        yield (kind, *(f"{number:,}" if number else "-" for number in counts), size(one.bytes) if one.bytes else "-")
