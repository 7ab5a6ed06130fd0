"""The operator's copy of the fleet's files, and what git says about it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_files import KEYS, TRUSTED, WRITTEN, named_files, named_texts

ELSEWHERE = "elsewhere"
_STATUS = ("--porcelain=v2", "--branch", "--untracked-files=all", "--ignored")
_HEAD, _NO_COMMIT = "# branch.oid ", "(initial)"


@dataclass(frozen=True)
class Checkout:
    folder: Path
    """The folder that the files' names are relative to."""
    fleet_file: str
    files: Mapping[str, bytes]
    """Name → content of the fleet file, the files it extends, lock, keys, pins and the public files it names:
    certificates, keyrings, golden sets and requirements files.

    The names of files with an absolute path start with ELSEWHERE.
    """
    committed: tuple[Path, ...]
    """The files that should be in git, the fleet file first: all except pins, the fleet's CA and files ELSEWHERE."""

    @property
    def commit(self) -> str | None:
        """HEAD; None if the fleet file isn't in git."""
        return self._kept[0]

    @property
    def dirty(self) -> bool:
        """Whether one of the committed files differs from HEAD."""
        return self._kept[1]

    @cached_property
    def _kept(self) -> tuple[str | None, bool]:
        # Computed only when needed, because starting git takes longer than comparing the files.
        return _kept(self.committed)

    @cached_property
    def inside(self) -> str | None:
        """The fleet file's path inside its git repository; None if it isn't in one."""
        fleet_file = self.folder / self.fleet_file
        prefix = _git(fleet_file.parent, "rev-parse", "--show-prefix")
        return None if prefix is None else f"{prefix}{fleet_file.name}"

    def contains(self, commit: str) -> bool:
        """Return whether this checkout contains the commit with this id."""
        folder = (self.folder / self.fleet_file).parent
        return _git(folder, "merge-base", "--is-ancestor", commit, "HEAD") is not None

    def committed_since(self, commit: str, files: Mapping[str, bytes], *, itself: bool = True) -> bool:
        """Return whether a later commit up to HEAD, or the commit `itself`, has these files as they are.

        Only files that should be in git count, and the keys file doesn't: key commands change it at any time, and a
        checkout that lacks one of those changes is refused anyway.
        """
        beside = {str(PurePosixPath(self.fleet_file).with_suffix(f".{suffix}")) for suffix in (*TRUSTED, KEYS)}
        wanted = {
            name: _blob(content)
            for name, content in files.items()
            if name not in beside and not name.startswith(f"{ELSEWHERE}/")
        }
        later = _git(self.folder, "rev-list", f"{commit}..HEAD", "--", *wanted) or ""
        first = (commit,) if itself else ()
        return any(_blobs(self.folder, one, wanted) == wanted for one in (*first, *later.split()))


def checkout(fleet: Fleet) -> Checkout:
    """Given a fleet, return its files on this machine. Raise OSError if one can't be read."""
    texts = (text.written for text in named_texts(fleet) if text.unfit is None)
    named = tuple(dict.fromkeys((*named_files(fleet), *texts)))
    relative = [fleet.at(written) for written in named if not _is_whole(written)]
    kept = _there([fleet.path, *fleet.sources, *map(fleet.sibling, WRITTEN), *relative])
    trusted = _there(map(fleet.sibling, TRUSTED))
    folder = Path(os.path.commonpath([path.parent for path in (*kept, *trusted)]))
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in (*kept, *trusted)}
    whole = {written: fleet.at(written) for written in named if _is_whole(written)}
    # Normalized, because tar refuses names with .. in them.
    files |= {f"{ELSEWHERE}/{os.path.normpath(at).lstrip('/')}": path.read_bytes() for at, path in whole.items()}
    return Checkout(folder, kept[0].relative_to(folder).as_posix(), files, tuple(kept))


def uncommitted(fleet: Fleet) -> tuple[Path, ...]:
    """Return which of the files that rackwright writes next to the fleet file aren't in git as they are now.

    Files that git ignores are left out, and so are all files if the folder isn't in git.
    """
    folder = fleet.path.parent
    paths = [path for path in map(fleet.sibling, (*WRITTEN, *TRUSTED)) if path.exists()]
    named = (path.name for path in paths)
    said = _git(folder, "status", "-z", "--porcelain", "--untracked-files=all", "--", *named) if paths else None
    entries = (said or "").split("\0")
    # git names files relative to the top of the working tree.
    return tuple(
        path for path in paths if any(entry.endswith((f" {path.name}", f"/{path.name}")) for entry in entries)
    )


def in_head(path: Path) -> bytes | None:
    """Return the file's content in the commit that is checked out, None if git doesn't have it there."""
    return _output(path.parent, "show", f"HEAD:./{path.name}")


def head_of(folder: Path) -> str | None:
    """Return the commit that is checked out in this folder, None if git doesn't have the folder."""
    return _git(folder, "rev-parse", "--verify", "-q", "HEAD")


def _is_whole(written: str) -> bool:
    return written.startswith(("/", "~"))


def _there(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that exist. Folders are resolved, files are not: a link may point out of the checkout."""
    return [path.parent.resolve() / path.name for path in paths if path.exists()]


def _kept(paths: Sequence[Path]) -> tuple[str | None, bool]:
    """Given files, the fleet file first, return git's HEAD, and whether one of them differs from it."""
    named = (str(path) for path in paths)
    said = _git(paths[0].parent, "status", "-z", *_STATUS, "--", *named)
    entries = [entry for entry in (said or "").split("\0") if entry]
    # git names an untracked file relative to the top of the working tree.
    strange = [entry[2:] for entry in entries if entry.startswith(("? ", "! "))]
    if said is None or any(str(paths[0]).endswith(f"/{name}") for name in strange):
        return None, False
    commit = next(entry.removeprefix(_HEAD) for entry in entries if entry.startswith(_HEAD))
    changed = any(not entry.startswith("# ") for entry in entries)
    return None if commit == _NO_COMMIT else commit, changed


def _blob(content: bytes) -> str:
    """Return git's id of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _blobs(folder: Path, commit: str, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of these files in a commit. Names are relative to the folder."""
    said = _git(folder, "ls-tree", "-z", commit, "--", *names) or ""
    entries = (entry.partition("\t") for entry in said.split("\0") if entry)
    return {name: about.split()[2] for about, _, name in entries}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output, None if it failed or isn't installed."""
    output = _output(folder, *arguments)
    return None if output is None else output.decode(errors="replace").strip()


def _output(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
