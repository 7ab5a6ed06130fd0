"""Which snapshots of a repository may go, and which ones an operator must look at first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.state.formats import stamp

SLACK = timedelta(minutes=5)
"""By how much a host's clock may be ahead of this machine's."""
LATE = timedelta(hours=36)
"""Age of the newest snapshot from which on the host seems not to be backed up."""


@dataclass(frozen=True)
class Suspect:
    """A snapshot that its host should not have made."""

    snapshot: Snapshot
    why: str

    @property
    def line(self) -> str:
        return f"{self.snapshot.id[:8]} of {stamp(self.snapshot.time)} {self.why}"


@dataclass(frozen=True)
class ForgetPlan:
    """What is to happen to the snapshots of one repository."""

    goes: tuple[Snapshot, ...]
    stays: tuple[Snapshot, ...]
    suspects: tuple[Suspect, ...]
    """While there is one, none goes."""
    late: timedelta | None
    """Age of the newest snapshot, if the host should have made one since."""

    @property
    def oldest(self) -> str | None:
        """Time of the oldest snapshot that stays."""
        return stamp(self.stays[0].time) if self.stays else None

    @property
    def newest(self) -> str | None:
        return stamp(self.stays[-1].time) if self.stays else None


def plan_forget(host: str, snapshots: Iterable[Snapshot], keep: timedelta, now: datetime) -> ForgetPlan:
    """Return what goes: snapshots older than the newest one by `keep` or more. So the newest one always stays.

    Kits are compared with those that have the same tags: the last one with the CA's key stays.
    """
    ordered = sorted(snapshots, key=lambda one: one.time)
    goes = {one.id for group in _groups(host, ordered) for one in group if one.time <= group[-1].time - keep}
    age = now - ordered[-1].time if ordered else timedelta()
    return ForgetPlan(
        goes=tuple(one for one in ordered if one.id in goes),
        stays=tuple(one for one in ordered if one.id not in goes),
        suspects=tuple(_suspects(host, ordered, now)),
        # A kit is made when something changed.
        late=age if age > LATE and host != KIT else None,
    )


def _groups(host: str, ordered: list[Snapshot]) -> Iterator[list[Snapshot]]:
    def tags(one: Snapshot) -> tuple[str, ...]:
        return tuple(sorted(one.tags or ())) if host == KIT else ()

    # The sort is stable, so each group stays ordered by time.
    for _, group in groupby(sorted(ordered, key=tags), tags):
        yield list(group)


def _suspects(host: str, snapshots: Iterable[Snapshot], now: datetime) -> Iterator[Suspect]:
    for one in snapshots:
        if one.time > now + SLACK:
            yield Suspect(one, "is dated in the future")
        # Any operator makes a kit.
        own = one.hostname == KIT if host == KIT else one.author == f"root@{host}"
        if not own:
            yield Suspect(one, f"is by {one.author}, not by {'an operator' if host == KIT else 'root'}@{host}")
