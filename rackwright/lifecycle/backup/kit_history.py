"""The git repository of a fleet's folder, copied with its history but without logins."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rackwright.report.words import size

MOST_BYTES = 1 << 30
MOST_FILES = 50_000
_SECONDS = 300
_LARGE_FILES = "lfs"
_CONFIGURATION = ("config", "config.worktree")
# Logins in URLs, headers of CI runners, and helpers that print a password.
_LOGIN = re.compile(r"(https?://)[^/@\s\"]+@")
_SECRET_LINE = re.compile(r"^\s*(extraheader|password|token|helper)\s*=.*\n?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class GitFolder:
    top: Path
    """The top folder of the working tree."""

    @property
    def own(self) -> Path | None:
        """Its .git, if that has everything; None: the history, or a part of it, is in another place."""
        git = self.top / ".git"
        borrows = (git / "objects" / "info" / "alternates").exists()
        return git if git.is_dir() and not git.is_symlink() and not borrows else None


def repository_of(folder: Path) -> GitFolder | None:
    """Return the git repository that this folder is in; None: git knows none."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    return GitFolder(Path(os.fsdecode(top).removesuffix("\n"))) if top else None


def work_files(found: GitFolder) -> Iterator[str]:
    """Yield the path of each file in the working tree that git doesn't ignore."""
    listed = _git(found.top, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or b""
    yield from sorted({os.fsdecode(name).rstrip("/") for name in listed.split(b"\0") if name})


def tracked(found: GitFolder) -> frozenset[str]:
    """Return the paths of the files that git has."""
    listed = _git(found.top, "ls-files", "-z", "--cached") or b""
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)


def copy_history(found: GitFolder, target: Path) -> str | None:
    """Make a repository with the whole history at `target`; return why there is none, or not all of it."""
    if found.own and (why := _too_large(found.own)):
        return why
    # Again, because git may have repacked it during the first copy.
    for _ in range(2):
        shutil.rmtree(target, ignore_errors=True)
        if _copied(found, target) and _git_at(target, "rev-list", "--objects", "--all", "--quiet") is not None:
            return _kept_if_small(target)
    return "git can't read all of its history"


def _kept_if_small(target: Path) -> str | None:
    """Remove the copy if it is too large, which isn't known of a clone before it is made; return why."""
    if why := _too_large(target):
        shutil.rmtree(target)
    return why


def _copied(found: GitFolder, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    if found.own is None:
        return _cloned(found, target)
    try:
        for source in _files(found.own):
            _copy(source, target / source.relative_to(found.own))
    except FileNotFoundError:
        return False
    for name in ("objects", "refs"):
        (target / name).mkdir(exist_ok=True)
    return True


def _cloned(found: GitFolder, target: Path) -> bool:
    """Clone it, because a linked working tree has only a part of its repository."""
    words = ("clone", "--quiet", "--mirror", "--no-hardlinks", "--", str(found.top), str(target))
    if _git(found.top, *words) is None:
        return False
    _git_at(target, "config", "core.bare", "false")
    _git_at(target, "remote", "remove", "origin")
    return True


def _too_large(git: Path) -> str | None:
    files = tuple(_files(git))
    total = sum(path.lstat().st_size for path in files if path.exists())
    if total <= MOST_BYTES and len(files) <= MOST_FILES:
        return None
    return f"{size(total)} in {len(files)} files, too large"


def _files(git: Path) -> Iterator[Path]:
    """Yield the repository's files, without locks and sockets of running commands."""
    for folder, below, names in os.walk(git):
        if _LARGE_FILES in below and Path(folder) == git:
            below.remove(_LARGE_FILES)
        yield from (path for path in (Path(folder, name) for name in names) if _is_kept(path))


def _is_kept(path: Path) -> bool:
    try:
        return not path.name.endswith(".lock") and not stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.name in _CONFIGURATION and not source.is_symlink():
        text = source.read_text(encoding="utf-8", errors="surrogateescape")
        target.write_text(_without_logins(text), encoding="utf-8", errors="surrogateescape")
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _without_logins(text: str) -> str:
    return _SECRET_LINE.sub("", _LOGIN.sub(r"\1", text))


def _git(folder: Path, *words: str) -> bytes | None:
    """Return git's output, None if it failed or isn't installed."""
    return _run("git", "-C", str(folder), *words)


def _git_at(git: Path, *words: str) -> bytes | None:
    return _run("git", f"--git-dir={git}", *words)


def _run(*words: str) -> bytes | None:
    try:
        done = subprocess.run(words, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
