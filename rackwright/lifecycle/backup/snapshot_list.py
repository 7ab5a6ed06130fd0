"""All snapshots of a repository, and those that restic leaves out of its list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rackwright.errors import HostError
from rackwright.lifecycle.backup.restic_here import Restic
from rackwright.lifecycle.backup.snapshots import Snapshot, parse_snapshots
from rackwright.remote.answers import read_answer
from rackwright.remote.completed import Completed
from rackwright.roles.backup.state import SLACK
from rackwright.state.formats import stamp

IN_THE_FUTURE = "is dated in the future"
_ID = re.compile("[0-9a-f]{64}")
_IGNORED = re.compile(r'^Ignoring "([0-9a-f]{64})": (.*)$', re.MULTILINE)


@dataclass(frozen=True)
class SnapshotList:
    snapshots: tuple[Snapshot, ...]
    """Newest first."""
    unreadable: Mapping[str, str]
    """ID → why restic left it out."""


def read_list(answer: Completed, where: str) -> SnapshotList:
    """Return what `restic snapshots --json` answered. Raise HostError if it is something else."""
    found = read_answer(where, "restic's list of snapshots", parse_snapshots, answer.stdout)
    # restic exits with 0, although it left these out.
    unreadable = {ignored[1]: f"can't be read: {ignored[2][:300]}" for ignored in _IGNORED.finditer(answer.stderr)}
    return SnapshotList(tuple(sorted(found, key=lambda one: one.time, reverse=True)), unreadable)


def false_date(snapshot: Snapshot, now: datetime) -> str | None:
    """Return why the snapshot's date can't be right, None if it can."""
    slack = timedelta(seconds=SLACK)
    if snapshot.time > now + slack:
        return IN_THE_FUTURE
    if snapshot.began and abs(snapshot.time - snapshot.began) > slack:
        return f"was made at {stamp(snapshot.began)}: its date is false"
    return None


def all_snapshots(restic: Restic) -> tuple[Snapshot, ...]:
    """Return all snapshots. Raise HostError if one can't be read: restic leaves it out and exits with 0."""
    answer = restic("snapshots", "--json", "--no-lock").check("listing the snapshots")
    snapshots = read_answer(restic.where, "restic's list of snapshots", parse_snapshots, answer.stdout)
    if {one.id for one in snapshots} != snapshot_ids(restic):
        raise damaged(restic, "some snapshots can't be read")
    return snapshots


def snapshot_ids(restic: Restic) -> set[str]:
    """Return the IDs of all snapshots, readable or not. Raise HostError if they can't be listed."""
    listed = restic("list", "snapshots", "--no-lock", "-q").check("listing the snapshots").stdout.split()
    if not all(map(_ID.fullmatch, listed)):
        raise HostError("answered something that is no list of snapshots", where=restic.where)
    return set(listed)


def damaged(restic: Restic, why: str) -> HostError:
    """Return the error for a repository from which nothing is removed, because it isn't whole."""
    return HostError(
        f"damaged, or not checked completely: {why}",
        where=restic.where,
        should="rackwright removes nothing from a damaged repository",
        next="copy it elsewhere, then follow https://restic.readthedocs.io/en/stable/077_troubleshooting.html",
    )
