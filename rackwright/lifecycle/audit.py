"""Who did what, when, over all hosts: their audit logs, merged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rackwright.errors import HostError, Problem, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.state.audit import Act, AuditLog, read_audit
from rackwright.state.formats import utc_now
from rackwright.values.amounts import parse_duration


@dataclass(frozen=True)
class Wanted:
    """Which acts: all that fit every word given."""

    since: datetime | None = None
    who: str | None = None
    """A part of the operator: a person's name, user@machine or a key's fingerprint; in any case of letters."""
    run: str | None = None
    """A run's id, or how it begins."""

    def fits(self, act: Act) -> bool:
        return (
            (self.since is None or act.time >= self.since)
            and (self.who is None or self.who.casefold() in act.operator.casefold())
            and (self.run is None or act.run.startswith(self.run))
        )


@dataclass(frozen=True)
class Noted:
    """An act as one host's log has it."""

    host: str
    act: Act


@dataclass(frozen=True)
class Audit:
    acts: tuple[Noted, ...]
    """In the order of time; within a second by host, each host's in the order of its log."""
    unreachable: Mapping[str, str]
    """Host → why its log couldn't be read."""
    damaged: tuple[Problem, ...]
    """Lines that are no acts, whatever was asked for: what they told is lost."""


def audit(fleet: Fleet, hosts: tuple[str, ...], wanted: Wanted) -> Audit:
    """Read the hosts' audit logs, all at once, and return the acts that are wanted; changes nothing."""
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


def since(text: str | None, now: datetime | None = None) -> datetime | None:
    """Given "12h", a day or a moment (UTC unless it says otherwise), return it. Raise UsageError if it is none."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d+[smhd]", text):
            return (now or utc_now()) - timedelta(seconds=parse_duration(text))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        should = "like 12h, 90d, 2027-03-31 or 2027-03-31T14:00"
        raise UsageError("is no time", where=f"--since {text}", should=should) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
