"""Whether a repository gave all that the plan lists: restic also exits with 0 if it restored nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rackwright.errors import Problem, ProofError
from rackwright.lifecycle.restore.items import AUDIT, ITEMS
from rackwright.lifecycle.restore.plan import Files, files_of
from rackwright.lifecycle.restore.staging import NotRestored
from rackwright.remote import Connection
from rackwright.report.words import counted

PLAIN = re.compile(r"(?!-)(?!.*/-)[A-Za-z0-9._@+=:,~%/-]+")
"""Other names are left out of a restore; the script STRANGE removes them."""
_LISTED = 5


def refuse_incomplete(shell: Connection, folder: str, expected: Files) -> None:
    """Raise NotRestored unless the folder has exactly the expected files, with their sizes.

    Files whose names aren't plain are not expected: they are left out of every restore.
    """
    there = files_of(shell, folder, ITEMS)
    if wrong := list(_wrong(there, {name: file for name, file in expected.items() if PLAIN.fullmatch(name)})):
        more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        what = f"{counted(len(wrong), 'file')} not as the snapshot lists them: {'; '.join(wrong[:_LISTED])}{more}"
        raise NotRestored(what, where=shell.name)


def _wrong(there: Files, expected: Files) -> Iterator[str]:
    for name in sorted({*there, *expected}):
        if name not in there:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} isn't in the snapshot"
        elif there[name].bytes != expected[name].bytes:
            yield f"{name} has {there[name].bytes} bytes, should have {expected[name].bytes}"


def of_wrong_kind(files: Iterable[str], where: str) -> tuple[Problem, ...]:
    """Return a problem for each part that should be a file and is a folder, or the other way around."""
    names, problems = tuple(files), []
    for item in ITEMS:
        is_file, is_folder = item.name in names, any(name.startswith(f"{item.name}/") for name in names)
        if is_folder and item.is_file:
            problems.append(Problem(f"{where}: {item.name}", "is a folder, should be a file"))
        if is_file and not item.is_file:
            problems.append(Problem(f"{where}: {item.name}", "is a file, should be a folder"))
    return tuple(problems)


def refuse_odd(files: Files, host: str) -> None:
    """Raise ProofError if the snapshot's state has no audit log, or a part of a wrong kind."""
    problems = of_wrong_kind(files, host)
    if AUDIT.name not in files and not problems:
        problems = (Problem(host, "the snapshot has no audit log"),)
    if problems:
        raise not_ours(host).with_problems(problems)


def not_ours(host: str) -> ProofError:
    """Return the error for a snapshot of the host that was chosen and isn't good."""
    return ProofError(
        "the snapshot isn't what rackwright saves; nothing was changed",
        where=host,
        should="use an older one",
        next=f"rackwright backup list {host}",
    )
