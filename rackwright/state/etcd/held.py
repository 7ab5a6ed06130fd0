"""How etcd keeps the fleet's lease: what its keys hold, and what follows for a Lease."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rackwright.errors import RackwrightError
from rackwright.state.etcd.output import Pair
from rackwright.state.etcd.transaction import NOW, quoted
from rackwright.state.formats import VERSION, NewerFormat, parse
from rackwright.state.lease import Lease, Owner

LEASE_KEY = "/rackwright/lease"
"""Bound to an etcd lease: etcd removes it when that expires. Its create revision is the token."""
HOLDER_KEY = "/rackwright/holder"
"""The same value, which stays when the lease expires. It is written and removed only together with the lease's key,
so its modification revision is the token."""
_FORMAT = f"lease/{VERSION}"
_WORDS = re.compile(rf"{_FORMAT} ([0-9a-f]{{1,64}}) ([0-9]{{1,11}})")
_NEWER = re.compile("lease/[0-9]{1,9}")


def value_of(owner: Owner, attempt: str) -> str:
    """Return the quoted value of both keys: a line `lease/1 ATTEMPT SINCE`, and a line of JSON about the owner."""
    before, after = quoted(f"{_FORMAT} {attempt} "), quoted(f"\n{owner.model_dump_json()}")
    return f"{before[:-1]}{NOW}{after[1:]}"


def attempt_of(pair: Pair) -> str:
    """Return which call of `acquire` wrote it."""
    return pair.value.partition("\n")[0].split(" ")[1]


def live(pair: Pair, now: int, left: int, where: str) -> Lease:
    """Given the lease's key and how many seconds are left, return the lease."""
    return _lease(pair, pair.create_revision, now, now + left, where, pair.lease)


def expired(holder: Pair | None, now: int, where: str) -> Lease | None:
    """Given the holder's key when there is no lease, return the lease that expired. etcd doesn't say when it did."""
    return _lease(holder, holder.mod_revision, now, now, where, 0) if holder else None


def _lease(pair: Pair, token: int, now: int, expires: int, where: str, etcd: int) -> Lease:
    first, _, owner = pair.value.partition("\n")
    words = _WORDS.fullmatch(first)
    place = f"{where}: {pair.key} in etcd"
    if words is None:
        raise _unreadable(first, place)
    found = parse(Owner, "lease", owner, place)
    return Lease(found, token, _moment(int(words[2])), _moment(expires), _moment(now), where, etcd=etcd)


def _unreadable(first: str, place: str) -> RackwrightError:
    if (newer := _NEWER.match(first)) and newer[0] != _FORMAT:
        return NewerFormat(
            f"was written by a newer rackwright ({newer[0]})",
            where=place,
            should=f"this rackwright reads up to {_FORMAT}",
            next="install the newer version of rackwright",
        )
    return RackwrightError("the lease is damaged", where=place, should=f"should be {_FORMAT} ATTEMPT SINCE and JSON")


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
