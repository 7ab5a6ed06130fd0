"""Merge the audit logs of all hosts: who did what, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import overload

from rackwright.errors import HostError, Problem, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.state.audit import Act, AuditLog, read_audit
from rackwright.state.formats import utc_now
from rackwright.values.amounts import parse_duration


@dataclass(frozen=True)
class Wanted:
    """A filter for acts; all given conditions must match."""

    since: datetime | None = None
    who: str | None = None
    """A part of the operator: a person's name, user@machine or a key's fingerprint; case doesn't matter."""
    run: str | None = None
    """A run's id, or the start of it."""

    def fits(self, act: Act) -> bool:
        return (
            (self.since is None or act.time >= self.since)
            and (self.who is None or self.who.casefold() in act.operator.casefold())
            and (self.run is None or act.run.startswith(self.run))
        )


@dataclass(frozen=True)
class Noted:
    """An act in one host's log."""

    host: str
    act: Act


@dataclass(frozen=True)
class Audit:
    acts: tuple[Noted, ...]
    """Ordered by time; within a second by host, and for each host in the order of its log."""
    unreachable: Mapping[str, str]
    """Host → why its log couldn't be read."""
    damaged: tuple[Problem, ...]
    """Lines that can't be read as acts, whatever the filter is."""


def audit(fleet: Fleet, hosts: tuple[str, ...], wanted: Wanted) -> Audit:
    """Read the hosts' audit logs, all at once, and return the acts that match; change nothing."""
    from rackwright.remote import Remote

    with Remote(targets(fleet, hosts)) as remote:

        def read(name: str) -> AuditLog | str:
            try:
                return read_audit(remote.connection(name))
            except HostError as error:
                return error.problems[0].what

        found = remote.each(hosts, read)
    return Audit(
        acts=tuple(sorted(_wanted(found, wanted), key=lambda noted: (noted.act.time, noted.host))),
        unreachable={name: log for name, log in found.items() if isinstance(log, str)},
        damaged=tuple(problem for log in found.values() if isinstance(log, AuditLog) for problem in log.damaged),
    )


def _wanted(found: Mapping[str, AuditLog | str], wanted: Wanted) -> Iterator[Noted]:
    for name, log in found.items():
        if isinstance(log, AuditLog):
            yield from (Noted(name, act) for act in log.acts if wanted.fits(act))


@overload
def since(text: str, now: datetime | None = None) -> datetime: ...
@overload
def since(text: None, now: datetime | None = None) -> None: ...
def since(text: str | None, now: datetime | None = None) -> datetime | None:
    """Parse "12h", a day or a time (UTC unless it has an offset). Raise UsageError if it is none of these."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d+[smhd]", text):
            return (now or utc_now()) - timedelta(seconds=parse_duration(text))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        should = "should be like 12h, 90d, 2027-03-31 or 2027-03-31T14:00"
        raise UsageError("isn't a time", where=f"--since {text}", should=should) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
