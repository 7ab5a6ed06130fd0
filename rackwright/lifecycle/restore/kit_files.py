"""The files of a kit that came from a repository. An attacker who can write there may have chosen them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from rackwright.errors import ProofError
from rackwright.lifecycle.backup.kit_content import FLEET

_GIT = ".git"
_REPOSITORY = {"HEAD", "objects", "refs"}
"""git takes a folder with these for a repository."""
_DROPPED = ("hooks", "modules", "worktrees", "commondir", "gitdir", "config.worktree", "objects/info/alternates")
"""Parts of a .git folder that name programs, or other repositories with a configuration of their own."""
_MOST_SETTINGS = 1 << 20
_SECONDS = 20
_TEXT = r'[^"\\\x00-\x1f\x7f]{1,200}'
_BRANCH = r"[A-Za-z0-9._/+-]{1,100}"
_HOST = r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*"
_REMOTE = rf"((https?|ssh|git)://{_HOST}(:[0-9]+)?/|{_HOST}:(?!:))[A-Za-z0-9._~/+%-]*"
_HARMLESS = {
    r"core\.repositoryformatversion": "0|1",
    r"core\.(filemode|ignorecase|symlinks|logallrefupdates)": "true|false",
    r"core\.bare": "false",
    r"extensions\.objectformat": "sha1|sha256",
    r"extensions\.refstorage": "files|reftable",
    r"user\.(name|email)": _TEXT,
    rf"remote\.{_BRANCH}\.url": _REMOTE,
    rf"remote\.{_BRANCH}\.fetch": r"\+?[A-Za-z0-9._/*-]+:[A-Za-z0-9._/*-]+",
    rf"branch\.{_BRANCH}\.(remote|merge)": _BRANCH,
}
"""Settings that are kept, with their values. Many others make git run a program."""


def take_over(folder: Path) -> None:
    """Make everything in the folder this user's, without setuid and setgid bits.

    Raise ProofError if something isn't a file with one name, a folder or a link, OSError if it can't be changed.
    """

    def stop(error: OSError) -> None:
        raise error

    for top, folders, files, here in os.fwalk(folder, onerror=stop):
        _take(here)
        for name in (*files, *folders):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                if not _is_ours(found):
                    os.chown(name, os.geteuid(), os.getegid(), dir_fd=here, follow_symlinks=False)
            elif not stat.S_ISDIR(found.st_mode):
                _take_file(name, here, Path(top, name).relative_to(folder))


def _take_file(name: str, folder: int, shown: Path) -> None:
    # By descriptor: the owner of the repository, as whom restic ran, might still replace what is there.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise ProofError(f"{shown} is no plain file")
        _take(file)
    finally:
        os.close(file)


def _take(file: int) -> None:
    if not _is_ours(os.fstat(file)):
        os.fchown(file, os.geteuid(), os.getegid())
    found = os.fstat(file).st_mode
    os.fchmod(file, found & 0o777 | (0o700 if stat.S_ISDIR(found) else 0o600))


def _is_ours(found: os.stat_result) -> bool:
    # In the sandbox of the tool on a control host, no chown is allowed, not even one that changes nothing.
    return (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


def read_plain(folder: Path, inside: str, limit: int) -> bytes:
    """Return the content of a file in the folder. Raise ProofError if it isn't there, is a link or is too large."""
    path = folder
    for part in PurePosixPath(inside).parts:
        path /= part
        if path.is_symlink():
            raise ProofError(f"{path.relative_to(folder)} is a link")
    if not path.is_file():
        raise ProofError(f"has no {inside}")
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ProofError(f"{inside} is too large")
    return content


def disarm_git(folder: Path) -> None:
    """Leave no git repository but the fleet's, and in that no hook and no setting that runs a program.

    Raise ProofError if another folder looks like a repository: git would take it for one.
    """
    own = folder / FLEET / _GIT
    for top, folders, files in os.walk(folder):
        here = Path(top)
        if here == own:
            folders.clear()
            continue
        if {*folders, *files} >= _REPOSITORY:
            raise ProofError(f"{here.relative_to(folder)} looks like a git repository")
        for name in [name for name in (*folders, *files) if name.lower() == _GIT]:
            if here / name != own or own.is_symlink() or not own.is_dir():
                _remove(here / name)
                folders[:] = [other for other in folders if other != name]
    if own.is_dir():
        _disarm(own)


def _disarm(git: Path) -> None:
    for path in (git / name for name in _DROPPED):
        _remove(path)
    for top, folders, files in os.walk(git):
        for path in (Path(top, name) for name in (*folders, *files)):
            if path.is_symlink():
                path.unlink()
    settings = git / "config"
    kept = "".join(_kept(settings)) if settings.is_file() and settings.stat().st_size <= _MOST_SETTINGS else ""
    _remove(settings)
    settings.write_text(kept or "[core]\n\trepositoryformatversion = 0\n", encoding="utf-8")


def _kept(settings: Path) -> Iterator[str]:
    """Yield the harmless settings, as lines of a new file."""
    for name, value in _settings(settings):
        if any(re.fullmatch(key, name) and re.fullmatch(fit, value) for key, fit in _HARMLESS.items()):
            section, _, rest = name.partition(".")
            below, _, key = rest.rpartition(".")
            yield f'[{section} "{below}"]\n' if below else f"[{section}]\n"
            yield f'\t{key} = "{value}"\n'


def _settings(path: Path) -> Iterator[tuple[str, str]]:
    words = ["git", "config", "--file", str(path), "--no-includes", "--list", "-z"]
    try:
        # At the top: in the kit, git would read this very file as its own configuration.
        done = subprocess.run(words, cwd="/", capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    for entry in done.stdout.decode(errors="replace").split("\0") if done.returncode == 0 else ():
        name, _, value = entry.partition("\n")
        yield name, value


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
