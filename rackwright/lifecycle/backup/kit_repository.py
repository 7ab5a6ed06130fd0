"""One repository's kit: make the repository, save into it, prove what was saved, forget old ones."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter

from rackwright.errors import HostError
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.kit_content import Staged
from rackwright.lifecycle.backup.restic_here import LOCKED, NO_REPOSITORY, WRONG_PASSWORD, Restic
from rackwright.remote.answers import read_answer
from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.values.base import Stored

WITH_CA_KEY = "with-ca-key"
"""The tag of a kit that has the CA's key. A restore takes the newest of these."""
_OURS = ("--host", KIT, "--tag", "rackwright")
_PATIENCE = "2m"
"""How long restic waits for a lock: another operator's kit takes seconds."""
_SAVE_SECONDS = 3600
_REACH_SECONDS = 45
"""restic itself tries for minutes to reach a server that is down."""
Claim = Callable[[], AbstractContextManager[None]]
"""While the block runs, no other operator makes the repository: two that are made at once are one that is damaged."""
_MOST_LOCKS = 100
_Hex = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8,64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class Saved:
    """A kit that is in the repository, and was proven."""

    repository: str
    """restic's id of the repository."""
    snapshot: str
    files: int
    bytes: int
    problem: str | None = None
    """Why old kits could not be removed; None: they were, or the server does it."""


class _Config(Stored):
    id: _Hex


class _Summary(Stored):
    snapshot_id: _Hex
    total_files_processed: _Count
    total_bytes_processed: _Count


class _Lock(Stored):
    hostname: str
    pid: int


class _Forgotten(Stored):
    remove: tuple[object, ...] | None = None


_FORGOTTEN = TypeAdapter(tuple[_Forgotten, ...] | None)


def save_kit(restic: Restic, staged: Staged, *, known: str | None, claim: Claim | None, keep: str | None) -> Saved:
    """Save the kit; return what was proven to be in the repository.

    `known` is the repository's id, if one is known. If there is no repository, it is made within `claim`; None: it
    must not be made. Kits that are at most `keep` older than the newest one are kept; None: the server forgets. Raise
    HostError if no kit was saved, or if it isn't known to be good.
    """
    repository = _reach(restic, known, claim)
    tags = () if staged.no_ca_key else ("--tag", WITH_CA_KEY)
    words = ("backup", "--json", *_OURS, *tags, "--", *sorted(path.name for path in staged.folder.iterdir()))
    saving = _ask(restic, *words, timeout=_SAVE_SECONDS, folder=staged.folder)
    summary = read_answer(restic.where, "restic's summary", _summary, _good(restic, saving, "no complete kit"))
    _prove(restic, staged, summary)
    problem = _forget(restic, keep) if keep else None
    return Saved(
        repository, summary.snapshot_id, summary.total_files_processed, summary.total_bytes_processed, problem
    )


def _reach(restic: Restic, known: str | None, claim: Claim | None) -> str:
    """Return the repository's id; make it if there is none and none was known before."""
    found = _looked(restic)
    if found.exit_status == NO_REPOSITORY and not known:
        if claim is None:
            raise _failed(restic, "no repository is there, and it isn't known whether there was one before")
        with claim():
            found = _looked(restic)
            if found.exit_status == NO_REPOSITORY:
                made = restic("init", "-q")
                found = _looked(restic) if made.ok else made
                if not found.ok:
                    raise _failed(restic, f"the repository could not be created: {_words(made)}")
    if found.exit_status == NO_REPOSITORY:
        raise _failed(restic, "the repository is gone; no new one is created")
    if found.exit_status == WRONG_PASSWORD:
        raise _failed(restic, "wrong password")
    if not found.ok:
        raise _failed(restic, f"can't be reached: {_words(found)}")
    identity = read_answer(restic.where, "the repository's settings", _Config.model_validate_json, found.stdout).id
    if known and identity != known:
        raise _failed(restic, "there is another repository in its place")
    return identity


def _looked(restic: Restic) -> Completed:
    try:
        return restic("cat", "config", "--no-lock", timeout=_REACH_SECONDS)
    except CommandTimeout:
        raise _failed(restic, f"can't be reached within {_REACH_SECONDS} s") from None


def _prove(restic: Restic, staged: Staged, summary: _Summary) -> None:
    """Raise HostError unless the snapshot has as many files as the kit, and those that matter."""
    if summary.total_files_processed != staged.contents.files + 1:
        wanted = staged.contents.files + 1
        raise _failed(restic, f"the snapshot has {summary.total_files_processed} files; the kit has {wanted}")
    listed = _good(restic, _ask(restic, "ls", summary.snapshot_id), "the kit can't be read").splitlines()
    if missing := [path for path in staged.must if path not in listed]:
        raise _failed(restic, f"{', '.join(missing)} is not in the snapshot")


def _forget(restic: Restic, keep: str) -> str | None:
    """Remove old kits; return why they could not be removed.

    Kits with the CA's key are a group of their own, so that no kit without it ever pushes out the last one. restic
    returns 0 even if every deletion was refused, so look whether something is left to remove.
    """
    words = ("forget", "--json", *_OURS, "--group-by", "tags", "--keep-within", keep)
    try:
        if not _removes(restic, *words):
            return None
        if _removes(restic, *words, "--dry-run"):
            return "old kits stay: their deletion was refused"
        _good(restic, _ask(restic, "prune", "-q", timeout=_SAVE_SECONDS), "not pruned")
    except HostError as error:
        return f"old kits stay: {error.problems[0].what}"
    return None


def _removes(restic: Restic, *words: str) -> bool:
    """Return whether restic names a snapshot that it removes."""
    done = _good(restic, _ask(restic, *words), "forgetting failed")
    groups = read_answer(restic.where, "restic's list", _FORGOTTEN.validate_json, done or "[]")
    return any(group.remove for group in groups or ())


def _ask(restic: Restic, *words: str, timeout: float = 120, folder: Path | None = None) -> Completed:
    """Run restic; if the repository is locked, remove this machine's locks of dead processes, and wait for others."""
    done = restic(*words, timeout=timeout, folder=folder)
    if done.exit_status == LOCKED:
        holder = _free(restic)
        done = restic(*words, "--retry-lock", _PATIENCE, timeout=timeout + 150, folder=folder)
        if done.exit_status == LOCKED:
            raise _failed(restic, f"locked{holder}, not damaged")
    return done


def _free(restic: Restic) -> str:
    """Remove this machine's locks of dead processes, unless there is one of a live process or of another machine.

    Return who holds it.
    """
    for lock in _locks(restic):
        if lock.hostname != socket.gethostname() or _runs(lock.pid):
            return f" by process {lock.pid} of {lock.hostname[:64]}"
    restic("unlock", "-q")
    return ""


def _locks(restic: Restic) -> Iterator[_Lock]:
    for identity in restic("list", "locks", "--no-lock", "-q").stdout.split()[:_MOST_LOCKS]:
        found = restic("cat", "lock", identity, "--no-lock", "-q")
        if found.ok:
            yield read_answer(restic.where, "a lock", _Lock.model_validate_json, found.stdout)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text(errors="replace").strip() == "restic"
    except OSError:
        return False


def _summary(output: str) -> _Summary:
    """Parse the last line of `restic backup --json`."""
    return _Summary.model_validate_json(output.strip().rpartition("\n")[2])


def _good(restic: Restic, done: Completed, what: str) -> str:
    if not done.ok:
        raise _failed(restic, f"{what}: {_words(done)}")
    return done.stdout


def _failed(restic: Restic, what: str) -> HostError:
    return HostError(what, where=f"kit at {restic.where}", next=f"rackwright backup kit --to {restic.where}")


def _words(done: Completed) -> str:
    """Return the line that says why restic failed."""
    lines = [_said(line) for line in done.last_lines(20)] or [f"exit status {done.exit_status}"]
    return next((line for line in lines if "Fatal:" in line), lines[-1])[:300]


def _said(line: str) -> str:
    """Return the text of a line, which is JSON if restic was asked for JSON."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    return str(said.get("message", line)) if isinstance(said, dict) else line
