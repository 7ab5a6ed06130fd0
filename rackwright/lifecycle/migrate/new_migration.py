"""Begin a migration: write its plan next to the fleet file, and a key pair if asked. No host is needed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from rackwright.errors import RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.place import plan_path
from rackwright.migrate.plan.new_plan import new_plan


@dataclass(frozen=True)
class Started:
    plan: Path
    key: Path | None
    """The new private key."""


def begin(fleet: Fleet, name: str, new_key: Path | None = None) -> Started:
    """Write the plan, and to `new_key` a private key of age with mode 0600; return their paths.

    Raise UsageError, writing nothing, if one of the files exists, if git would track the key, or if the fleet file
    has no cloud; RackwrightError if one can't be written.
    """
    path = plan_path(fleet, name)
    _refuse(fleet, path, new_key)
    recipient = identity = ""
    if new_key:
        recipient = _write_key(new_key)
        identity = f"file:{_as_written(new_key, path.parent)}"
    try:
        _write_new(path, new_plan(fleet, name, recipient=recipient, identity=identity), 0o644)
    except RackwrightError:
        if new_key:
            new_key.unlink(missing_ok=True)
        raise
    return Started(path, new_key)


def _refuse(fleet: Fleet, path: Path, new_key: Path | None) -> None:
    if path.exists():
        raise UsageError(
            "the plan exists already",
            where=str(path),
            should="init never overwrites a file",
            next=f"rackwright migrate status {path.stem.partition('.migrate-')[2]}",
        )
    if not fleet.file.clouds:
        should = "should have the provider in clouds: url, key and names"
        next_ = f"add it, then rackwright migrate init {path.stem.partition('.migrate-')[2]}"
        raise UsageError("the fleet file has no clouds", where=str(fleet.path), should=should, next=next_)
    if new_key and new_key.exists():
        raise UsageError("the file exists already", where=str(new_key), should="a new key never replaces a file")
    if new_key and not str(new_key.absolute()).isprintable():
        raise UsageError(
            "has a character that no plan can name", where=repr(str(new_key)), should="should be printable UTF-8"
        )
    if new_key and not new_key.parent.is_dir():
        raise UsageError(
            "its folder doesn't exist",
            where=str(new_key),
            should="should be a path in a private folder",
            next=f"mkdir -m 700 {quote(str(new_key.parent))}",
        )
    if new_key and _tracked(new_key):
        raise UsageError(
            "git would track this file",
            where=str(new_key),
            should="a private key should be outside of the repository, or where .gitignore leaves it out",
        )


def _tracked(path: Path) -> bool:
    """Return whether the file would be in a git repository that doesn't ignore it."""
    try:
        done = subprocess.run(
            ["git", "-C", str(path.parent), "check-ignore", "-q", "--", path.name], capture_output=True, check=False
        )
    except OSError:
        return False
    # 0: ignored, 1: not ignored, 128: not in a repository.
    return done.returncode == 1


def _write_key(path: Path) -> str:
    """Write a new private key; return its public key."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    _write_new(path, f"{identity}\n", 0o600)
    return str(identity.to_public())


def _as_written(path: Path, folder: Path) -> str:
    """Return the path relative to the plan's folder if it is below it, else the whole path."""
    whole, top = path.absolute(), folder.absolute()
    return str(whole.relative_to(top)) if whole.is_relative_to(top) else str(whole)


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        # A part of it would keep another attempt from writing it.
        path.unlink(missing_ok=True)
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None
