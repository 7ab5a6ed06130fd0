"""The lease: only one operator at a time changes a fleet. It says who, since when, why, and until when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from rackwright.errors import LeasedError, RackwrightError
from rackwright.state.formats import parse, stamp
from rackwright.state.shell import FOLDER
from rackwright.values.base import Stored

SECONDS = 60
"""How long a lease lasts unless it is renewed."""
RENEW_SECONDS = 20
_NUMBER = re.compile("[0-9]{1,11}")


class LeaseTaken(LeasedError):
    """Another run has a live lease: a later try may succeed."""


class Owner(Stored):
    """Who has a lease, and for which command."""

    format: str = "lease/1"
    who: str
    """The operator: fingerprint of the SSH key, or user@host."""
    machine: str
    """The operator's machine."""
    why: str
    """The command."""
    run: str
    """Id of the run."""


@dataclass(frozen=True)
class Lease:
    owner: Owner
    token: int
    """Grows with every lease; the journal refuses lines written under an older one."""
    since: datetime
    expires: datetime
    now: datetime
    """The control host's time when the lease was read: only this clock decides."""
    where: str
    """The control host."""
    previous: Lease | None = None
    """The expired lease that this one replaced."""
    etcd: int = 0
    """Id of the etcd lease that its key is bound to; 0: none."""

    @property
    def live(self) -> bool:
        return self.expires > self.now

    @property
    def seconds_left(self) -> int:
        return max(0, int((self.expires - self.now).total_seconds()))

    def __str__(self) -> str:
        owner = self.owner
        return f"{owner.who} on {owner.machine} since {stamp(self.since)} for: {owner.why} (run {owner.run})"


def parse_lease(lines: list[str], now: int, where: str) -> Lease | None:
    """Given the two lines of a lease file, return the lease; None if there are none."""
    if len(lines) < 2 or not lines[0]:
        return None
    words = lines[0].split()
    if len(words) != 4 or not all(_NUMBER.fullmatch(word) for word in words[1:]):
        raise damaged(where)
    token, since, expires = (int(word) for word in words[1:])
    owner = parse(Owner, "lease", lines[1], f"{where}: lease")
    return Lease(owner, token, _moment(since), _moment(expires), _moment(now), where)


def damaged(where: str) -> RackwrightError:
    return RackwrightError(
        "the lease file is damaged",
        where=f"{where}: {FOLDER}/control/lease",
        should="should be a line lease/1 TOKEN SINCE EXPIRES and a line of JSON",
        next=f"remove it on {where} when no other operator is changing the fleet",
    )


def leased(lease: Lease) -> LeaseTaken:
    """Return the error for a run that finds this live lease."""
    return LeaseTaken(
        f"the fleet is leased by {lease}",
        where=lease.where,
        should=f"wait until it ends; it expires in {lease.seconds_left} s unless it is renewed",
        next="rackwright lease show",
    )


def lost(lease: Lease | None, where: str) -> LeasedError:
    """Return the error for a run whose lease ended before its work was done."""
    holder = f"; the fleet is now leased by {lease}" if lease and lease.live else ""
    return LeasedError(
        f"this run's lease has ended{holder}",
        where=where,
        should="without a lease this run changes nothing more",
        next="rackwright lease show",
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
