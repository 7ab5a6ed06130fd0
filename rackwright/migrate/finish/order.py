"""In which order objects are deleted, and which kinds can't be deleted at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from rackwright.migrate.export.export_list import ExportList, Known
from rackwright.migrate.export.kinds import FILES, JOBS, LISTED, STORE_FILES, STORES, WEIGHTS

ORDER = (
    STORES,
    STORE_FILES,
    "stored chat completions",
    "responses",
    "conversations",
    FILES,
)
"""Files are last: vector stores, batches and jobs use them."""
NO_DELETION: Mapping[str, str] = {
    "batches": "the API has no deletion of batches; their files are deleted",
    JOBS: "the API has no deletion of fine-tuning jobs; their files are deleted",
    WEIGHTS: "nobody can have a copy; delete the models that fine-tuning made at the provider",
}
"""Kind → why its objects stay."""
LISTS = frozenset(kind.name for kind in LISTED)
"""Kinds that the provider lists."""
RUNNING = ("validating", "validating_files", "queued", "in_progress", "running", "finalizing", "cancelling", "paused")
"""States of a batch or fine-tuning job that hasn't ended."""
Key = tuple[str, str]
"""Kind and id."""


class Copy(Enum):
    """What the export has of an object."""

    WHOLE = "whole"
    NONE = "none"
    """Nothing, an older state, or files that were damaged."""


def objects_of(exports: ExportList, kind: str) -> Iterator[tuple[Key, Copy]]:
    """Yield each object of the kind that the provider has had, with what the export has of it.

    Those that the provider no longer listed at the last run are part of it: they were there.
    """
    torn = _torn(exports)
    for key, one in exports.known.items():
        if key[0] == kind and (one.exported is not None or _is_there(exports, one)):
            whole = one.exported is not None and not (one.missing or one.damaged)
            yield key, Copy.WHOLE if whole and store_of(key) not in torn else Copy.NONE


def store_of(key: Key) -> str | None:
    """Return the vector store that an object is, or is in; None: it is something else."""
    return key[1].partition("/")[0] if key[0] in (STORES, STORE_FILES) else None


def _is_there(exports: ExportList, one: Known) -> bool:
    """Return whether the provider has an object without a copy. An id of the application's may never have existed."""
    return not one.gone and exports.line_at(one.last).why != "absent"


def _torn(exports: ExportList) -> frozenset[str | None]:
    """Return the vector stores of which a file has no copy: they aren't deleted."""
    bad = (key for key, one in exports.known.items() if one.missing or one.damaged)
    return frozenset(store_of(key) for key in bad if key[0] == STORE_FILES)
