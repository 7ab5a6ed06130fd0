"""How large a kit may be: a repository sends what someone who can write to it has put there."""

from __future__ import annotations

from rackwright.errors import ProofError
from rackwright.lifecycle.backup.kit_content import LARGEST, MOST_ENTRIES
from rackwright.remote.answers import read_answer
from rackwright.report.words import size
from rackwright.values.base import Stored

STATS = ("stats", "--no-lock", "--json", "--mode", "restore-size")
"""restic's words before the snapshot's ID."""


class _Stats(Stored):
    total_size: int
    total_file_count: int
    """Files, links and folders."""


def refuse_large(answer: str, where: str) -> None:
    """Given the answer of `restic stats`, raise ProofError if the kit is larger than any that rackwright saves.

    Raise HostError if it is no such answer.
    """
    found = read_answer(where, "restic's size of the kit", _Stats.model_validate_json, answer)
    if found.total_size > LARGEST:
        raise ProofError(f"has {size(found.total_size)}, and a kit has at most {size(LARGEST)}")
    if found.total_file_count > MOST_ENTRIES:
        raise ProofError(f"has {found.total_file_count} files and folders, and a kit has at most {MOST_ENTRIES}")
