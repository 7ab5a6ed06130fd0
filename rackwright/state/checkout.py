"""The operator's own copy of the fleet's files, and what git says about it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_files import DECIDING, trusted_files

OUTSIDE = "outside"


@dataclass(frozen=True)
class Checkout:
    folder: Path
    """The folder that the files' names start from."""
    fleet_file: str
    files: Mapping[str, bytes]
    """Name → content of the fleet file, what it extends, lock, keys, pins and the public files it names.

    One from outside the folder is named by its whole path, below OUTSIDE.
    """
    commit: str | None
    """HEAD; None when git doesn't keep the fleet file."""
    dirty: bool
    """Whether the fleet file, what it extends, lock or keys differ from the commit."""

    def contains(self, commit: str) -> bool:
        """Given a commit's id, return whether this checkout is built on it."""
        return _git(self.folder, "merge-base", "--is-ancestor", commit, "HEAD") is not None


def checkout(fleet: Fleet) -> Checkout:
    """Given a fleet, return its files as they lie here. Raise OSError if one can't be read."""
    beside = [fleet.beside(suffix) for suffix in DECIDING]
    # The folder is resolved, a file is not: a link may point out of the checkout.
    deciding = [_absolute(path) for path in (fleet.path, *fleet.sources, *(path for path in beside if path.exists()))]
    folder = Path(os.path.commonpath([path.parent for path in deciding]))
    trusted = [_absolute(path) for path in trusted_files(fleet)]
    files = {_name(path, folder): path.read_bytes() for path in (*deciding, *trusted)}
    commit, dirty = _kept(folder, deciding)
    return Checkout(folder, _name(deciding[0], folder), files, commit, dirty)


def _absolute(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _name(path: Path, folder: Path) -> str:
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return f"{OUTSIDE}{path.as_posix()}"


def _kept(folder: Path, paths: list[Path]) -> tuple[str | None, bool]:
    if _git(folder, "ls-files", "--error-unmatch", "--", str(paths[0])) is None:
        return None, False
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--ignored", "--", *map(str, paths))
    return commit, changed != ""


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git printed; None if it failed or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
